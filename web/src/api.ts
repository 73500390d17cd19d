import { currentToken, keepToken } from './csrf.js';
import {
  type SessionError,
  SessionExpiredError,
  SessionNetworkError,
  SessionRefusedError,
  SessionUnavailableError,
} from './errors.js';
import { after, attempt, type Scope } from './scope.js';
import type { Refusal, SessionState } from './wire.js';

/** An answer to "who am I?"; no answer is an error. */
export type Answer =
  | { type: 'state'; state: SessionState }
  | { type: 'unchanged' }
  | { type: 'refused'; body: Refusal };

/** What requests need to know of the tab they are made for. */
export interface Tab {
  /** The person the tab believes to be signed in. */
  user(): string | undefined;
  /** The same, after asking the server. */
  askUser(): Promise<string | undefined>;
  /** The platform the tab shows. */
  platform(): string | undefined;
  /** An answer said that the session is over. */
  refused(): void;
}

const TIMEOUT = 10_000;
const SAFE = /^(GET|HEAD|OPTIONS|TRACE)$/;
// These speak of the session's platform, whatever the tab shows.
const SYNC_API = /^\/(login|logout|api\/(csrf|sessions?|session_state|switch_platform|user_platforms))(\/|$)/;

export class Api {
  readonly #scope: Scope;
  readonly #tab: Tab;

  constructor(scope: Scope, tab: Tab) {
    this.#scope = scope;
    this.#tab = tab;
  }

  async readState(etag: string | undefined): Promise<Answer> {
    const response = await this.#send('/api/session_state', {
      headers: etag ? { 'If-None-Match': etag } : {},
    });
    if (response.status === 304) return { type: 'unchanged' };
    if (response.status === 401) return { type: 'refused', body: (await bodyOf(response)) ?? {} };
    const state = await bodyOf<SessionState & Refusal>(response);
    if (!response.ok || !state || state.success === false) throw failureOf(response, state);
    return { type: 'state', state };
  }

  /** Changes nothing on the server, and so needs no token. */
  async validate(): Promise<boolean> {
    const body = await this.#read<{ valid?: boolean }>(
      await this.#send('/api/session/validate', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-CSRFToken': currentToken(this.#scope) },
        body: '{}',
      }),
    );
    return body.valid === true;
  }

  /** Posts to the sync API itself; resolves to the body, rejects with a `SessionError`. */
  async post<T>(path: string, body: object = {}): Promise<T> {
    const response = await this.#withToken((token) =>
      this.#send(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-CSRFToken': token },
        body: JSON.stringify(body),
      }),
    );
    return this.#read<T>(response);
  }

  async #read<T>(response: Response): Promise<T> {
    const answer = await bodyOf<T & Refusal>(response);
    if (response.status === 401) this.#tab.refused();
    if (!response.ok || !answer) throw failureOf(response, answer);
    return answer;
  }

  /** `fetch` for the application's own requests to its own origin. */
  async fetch(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const request = typeof input === 'object' && 'headers' in input ? input : undefined;
    const url = new URL(request?.url ?? String(input), this.#scope.location.href);
    if (url.origin !== this.#scope.location.origin) {
      throw new TypeError('sessionSync.fetch is for requests to this origin only');
    }
    const headers = new Headers(init.headers ?? request?.headers);
    const platform = this.#tab.platform();
    if (platform && !SYNC_API.test(url.pathname) && !headers.has('X-Platform-Id')) {
      headers.set('X-Platform-Id', platform);
    }
    headers.set('X-Requested-With', 'XMLHttpRequest');
    const send = (token?: string) => {
      if (token) headers.set('X-CSRFToken', token);
      // A redirect to elsewhere must not take these headers along.
      const mode = 'same-origin';
      return this.#scope.fetch(request?.clone() ?? input, { ...init, headers, mode });
    };
    const safe = SAFE.test((init.method ?? request?.method ?? 'GET').toUpperCase());
    const response = await (safe ? send() : this.#withToken(send));
    if (response.status === 401) this.#tab.refused();
    return response;
  }

  /** A stale token is renewed and the request repeated once, but never as somebody else. */
  async #withToken(send: (token: string) => Promise<Response>): Promise<Response> {
    const user = this.#tab.user();
    const response = await send(currentToken(this.#scope) || (await this.#renewToken()));
    if (response.status !== 403) return response;
    const refusal = await bodyOf<Refusal>(response.clone());
    if (refusal?.error_code !== 'CSRF_STALE' || !user) return response;
    return (await this.#tab.askUser()) === user ? send(await this.#renewToken()) : response;
  }

  async #renewToken(): Promise<string> {
    const response = await this.#send('/api/csrf', {});
    const body = await bodyOf<{ csrf_token?: string }>(response);
    if (!body?.csrf_token) throw failureOf(response);
    keepToken(this.#scope, body.csrf_token);
    return body.csrf_token;
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const late = new AbortController();
    const cancel = after(this.#scope, TIMEOUT, () => late.abort());
    try {
      const response = await this.#scope.fetch(path, {
        method: 'GET',
        ...init,
        headers: { Accept: 'application/json', 'X-Requested-With': 'XMLHttpRequest', ...init.headers },
        credentials: 'same-origin',
        cache: 'no-store',
        // A redirect is never an answer here; followed, it would be a page that says 200.
        redirect: 'manual',
        signal: late.signal,
      });
      if (!response) throw new TypeError('no response');
      return response;
    } catch (cause) {
      throw new SessionNetworkError(cause);
    } finally {
      cancel();
    }
  }
}

/** The JSON object of an answer; `undefined` for a proxy's page or an answer cut short. */
async function bodyOf<T>(response: Response): Promise<T | undefined> {
  const body: unknown = await attempt(() => response.json())?.catch(() => undefined);
  return body && typeof body === 'object' ? (body as T) : undefined;
}

function failureOf(response: Response, body?: Refusal): SessionError {
  const { status } = response;
  if (status === 401) return new SessionExpiredError(body);
  if (status >= 400 && status < 500 && status !== 429) return new SessionRefusedError(status, body);
  // A store that is down may be back in a moment, whatever it says; a limit means it.
  const seconds = status === 429 ? Number(response.headers.get('Retry-After')) : 0;
  return new SessionUnavailableError(status, body, seconds * 1000 || 0);
}
