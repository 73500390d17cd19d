import type { Refusal } from './wire.js';

type Kind = 'Expired' | 'Network' | 'Unavailable' | 'Refused';

/** Every error of this client. The specification's listener knows them by `context`. */
export class SessionError extends Error {
  readonly context = 'session';
  declare readonly name: `Session${Kind}Error`;
  declare readonly code: string | undefined;
  declare readonly reason: string | undefined;
  declare readonly requestId: string | undefined;

  constructor(kind: Kind, message: string, body: Refusal = {}, more?: object) {
    super(message);
    const { error_code: code, reason, request_id: requestId } = body;
    Object.assign(this, { name: `Session${kind}Error`, code, reason, requestId }, more);
  }
}

/** The session has ended; `reason` says why. */
export interface SessionExpiredError extends SessionError {
  readonly name: 'SessionExpiredError';
}

/** No answer came: nothing is known about the session. */
export interface SessionNetworkError extends SessionError {
  readonly name: 'SessionNetworkError';
}

/** The server answered that it cannot tell, or made no sense. The session may well be alive. */
export interface SessionUnavailableError extends SessionError {
  readonly name: 'SessionUnavailableError';
  readonly status: number;
  /** How long the server asks to be left alone, in ms. */
  readonly retryAfter: number;
}

/** The server understood and refused. */
export interface SessionRefusedError extends SessionError {
  readonly name: 'SessionRefusedError';
  readonly status: number;
}

export function expired(body: Refusal = {}): SessionError {
  const why = body.reason ? ` (${body.reason})` : '';
  const words = body.error ? ` ${body.error}` : '';
  return new SessionError('Expired', `Your session has expired${why}.${words}`, body);
}

export const refused = (status: number, body?: Refusal): SessionError =>
  new SessionError('Refused', body?.error ?? `The server refused the request (${status}).`, body, { status });

/** For what the network kept from being had. */
export const unreached = (cause: unknown): SessionError =>
  new SessionError('Network', 'A network error kept the session from being checked.', {}, { cause });

export function isSessionError(error: unknown): error is SessionError {
  return error instanceof Error && (error as { context?: unknown }).context === 'session';
}

// By name, not instanceof: a page may load the classic script and the module at once.
const named =
  <T extends SessionError>(name: T['name']) =>
  (error: unknown): error is T =>
    isSessionError(error) && error.name === name;

export const isSessionExpired = /* @__PURE__ */ named<SessionExpiredError>('SessionExpiredError');
export const isSessionNetwork = /* @__PURE__ */ named<SessionNetworkError>('SessionNetworkError');
export const isSessionUnavailable = /* @__PURE__ */ named<SessionUnavailableError>('SessionUnavailableError');
export const isSessionRefused = /* @__PURE__ */ named<SessionRefusedError>('SessionRefusedError');
