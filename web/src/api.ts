import { currentToken, keepToken } from './csrf.js';
import { ask } from './ask.js';
import {
  type SessionError,
  SessionExpiredError,
  SessionNetworkError,
  SessionRefusedError,
  SessionUnavailableError,
} from './errors.js';
import { after, attempt } from './scope.js';
import type { Tab } from './tab.js';
import { idOf, type Refusal, type SessionState } from './wire.js';

const TIMEOUT = 10_000;

/** Asks who is signed in: a state, a refusal, or neither where nothing has changed. */
export async function readState(
  tab: Tab,
  etag?: string,
): Promise<{ state?: SessionState; refusal?: Refusal }> {
  const response = await send(tab, '/api/session_state', {
    headers: etag ? { 'If-None-Match': etag } : {},
  });
  if (response.status === 304) return {};
  const body = await bodyOf<SessionState & Refusal>(response);
  if (response.status === 401) return { refusal: body ?? {} };
  if (!response.ok || !body || body.success === false) throw failureOf(response, body);
  return { state: body };
}

/** Changes nothing on the server, and so needs no token. */
export async function validate(tab: Tab): Promise<boolean> {
  const { valid } = await postWith<{ valid?: boolean }>(tab, '/api/session/validate', {}, currentToken(tab.scope_));
  return valid === true;
}

/** Posts to the sync API itself; resolves to the body, rejects with a `SessionError`. */
export const post = <T>(tab: Tab, path: string, body = {}): Promise<T> =>
  postWith<T>(tab, path, body);

async function postWith<T>(tab: Tab, path: string, body: object, token?: string): Promise<T> {
  const sendWith = (token: string) =>
    send(tab, path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRFToken': token },
      body: JSON.stringify(body),
    });
  const response = await (token === undefined ? withToken(tab, sendWith) : sendWith(token));
  const answer = await bodyOf<T & Refusal>(response);
  if (response.status === 401) void ask(tab);
  if (!response.ok || !answer) throw failureOf(response, answer);
  return answer;
}

/** A stale token is renewed and the request repeated once, but never as somebody else. */
export async function withToken(
  tab: Tab,
  sendWith: (token: string) => Promise<Response>,
): Promise<Response> {
  const user = idOf(tab.view_?.state.user);
  const response = await sendWith(currentToken(tab.scope_) || (await renewToken(tab)));
  if (response.status !== 403) return response;
  const refusal = await bodyOf<Refusal>(response.clone());
  if (refusal?.error_code !== 'CSRF_STALE' || !user) return response;
  const { state } = await ask(tab);
  return idOf(state?.user) === user ? sendWith(await renewToken(tab)) : response;
}

async function renewToken(tab: Tab): Promise<string> {
  const response = await send(tab, '/api/csrf');
  const body = await bodyOf<{ csrf_token?: string }>(response);
  if (!body?.csrf_token) throw failureOf(response);
  keepToken(tab.scope_, body.csrf_token);
  return body.csrf_token;
}

async function send(tab: Tab, path: string, init: RequestInit = {}): Promise<Response> {
  const late = new AbortController();
  const cancel = after(tab.scope_, TIMEOUT, () => late.abort());
  try {
    const response = await tab.scope_.fetch(path, {
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
