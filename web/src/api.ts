import { ask } from './ask.js';
import { currentToken, keepToken } from './csrf.js';
import { expired, refused, SessionError } from './errors.js';
import { after, attempt } from './scope.js';
import { stateIn, type Tab } from './tab.js';
import { idOf, type Refusal, type SessionState } from './wire.js';

const TIMEOUT = 10_000;

/** Asks who is signed in: a state, a refusal, or neither where nothing has changed. */
export async function readState(
  tab: Tab,
  position?: string,
): Promise<{ state?: SessionState; refusal?: Refusal }> {
  const response = await send(
    tab,
    '/api/session_state',
    position ? { 'If-None-Match': `"${position}"` } : {},
  );
  if (response.status === 304) return {};
  const body = await bodyOf<SessionState & Refusal>(response);
  if (response.status === 401) return { refusal: body ?? {} };
  if (!response.ok || !body || body.success === false) throw failureOf(response, body);
  return { state: body };
}

export const get = async <T>(tab: Tab, path: string): Promise<T> =>
  read<T>(tab, await send(tab, path));

/** Posts without a token what changes nothing on the server; otherwise as `post`. */
export const postPlainly = async <T>(tab: Tab, path: string): Promise<T> =>
  read<T>(tab, await send(tab, path, { 'X-CSRFToken': currentToken(tab.scope_) }, {}));

/** Posts to the sync API itself; resolves to the body, rejects with a `SessionError`. */
export const post = async <T>(tab: Tab, path: string, body = {}): Promise<T> =>
  read<T>(tab, await withToken(tab, (token) => send(tab, path, { 'X-CSRFToken': token }, body)));

async function read<T>(tab: Tab, response: Response): Promise<T> {
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
  const user = idOf(stateIn(tab)?.user);
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

/** Posts if there is a body, else gets. */
async function send(tab: Tab, path: string, headers = {}, body?: object): Promise<Response> {
  const late = new AbortController();
  const cancel = after(tab.scope_, TIMEOUT, () => late.abort());
  const post = body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
  tab.counts_.requests++;
  try {
    const response = await tab.scope_.fetch(path, {
      method: 'GET',
      credentials: 'same-origin',
      cache: 'no-store',
      // A redirect is never an answer here; followed, it would be a page that says 200.
      redirect: 'manual',
      signal: late.signal,
      ...post,
      headers: {
        Accept: 'application/json',
        'X-Requested-With': 'XMLHttpRequest',
        ...(post?.headers ?? headers),
      },
    });
    if (!response) throw new TypeError('no response');
    return response;
  } catch (cause) {
    throw new SessionError('Network', 'A network error kept the session from being checked.', {}, { cause });
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
  const limited = status === 429;
  if (status === 401) return expired(body);
  if (status >= 400 && status < 500 && !limited) return refused(status, body);
  // A store that is down may be back in a moment, whatever it says; a limit means it.
  const retryAfter = limited ? Number(response.headers.get('Retry-After')) * 1000 || 0 : 0;
  const message = 'The session service is unavailable at the moment.';
  return new SessionError('Unavailable', message, body, { status, retryAfter });
}
