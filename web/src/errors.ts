import type { Refusal } from './wire.js';

/** Every error of this client. The specification's listener knows them by `context`. */
export class SessionError extends Error {
  override readonly name: string = 'SessionError';
  readonly context = 'session';
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;

  constructor(message: string, body?: Refusal, options?: ErrorOptions) {
    super(message, options);
    this.code = body?.error_code;
    this.reason = body?.reason;
    this.requestId = body?.request_id;
  }
}

/** The session has ended; `reason` says why. */
export class SessionExpiredError extends SessionError {
  override readonly name = 'SessionExpiredError';
  constructor(body?: Refusal) {
    super(`Your session has expired${body?.reason ? ` (${body.reason})` : ''}.`, body);
  }
}

/** No answer came: nothing is known about the session. */
export class SessionNetworkError extends SessionError {
  override readonly name = 'SessionNetworkError';
  constructor(cause?: unknown) {
    super('A network error kept the session from being checked.', undefined, { cause });
  }
}

/** The server answered that it cannot tell, or made no sense. The session may well be alive. */
export class SessionUnavailableError extends SessionError {
  override readonly name = 'SessionUnavailableError';
  constructor(
    readonly status: number,
    body?: Refusal,
    /** How long the server asks to be left alone, in ms. */
    readonly retryAfter = 0,
  ) {
    super('The session service is unavailable at the moment.', body);
  }
}

/** The server understood and refused. */
export class SessionRefusedError extends SessionError {
  override readonly name = 'SessionRefusedError';
  constructor(
    readonly status: number,
    body?: Refusal,
  ) {
    super(body?.error ?? `The server refused the request (${status}).`, body);
  }
}

// By name, not instanceof: a page may load the classic script and the module at once.
const named =
  <T extends SessionError>(name: T['name']) =>
  (error: unknown): error is T =>
    isSessionError(error) && error.name === name;

export function isSessionError(error: unknown): error is SessionError {
  return error instanceof Error && (error as { context?: unknown }).context === 'session';
}
export const isSessionExpired = named<SessionExpiredError>('SessionExpiredError');
export const isSessionNetwork = named<SessionNetworkError>('SessionNetworkError');
export const isSessionUnavailable = named<SessionUnavailableError>('SessionUnavailableError');
export const isSessionRefused = named<SessionRefusedError>('SessionRefusedError');
