import { bodyOf } from './api.js';
import { currentToken, keepToken } from './csrf.js';
import { isSessionExpired, type SessionError } from './errors.js';
import { stateIn, type Tab } from './tab.js';
import { idOf, type RefreshAnswer, type Refusal } from './wire.js';

export const get = async <T>(tab: Tab, path: string): Promise<T> =>
  read<T>(tab, await tab.core_.send_(tab, path));

/** Posts without a token what changes nothing on the server; otherwise as `post`. */
const postUntokened = async <T>(tab: Tab, path: string): Promise<T> =>
  read<T>(tab, await sendBody(tab, path, currentToken(tab.scope_), {}));

/** Posts to the sync API itself; resolves to the body, rejects with a `SessionError`. */
export const post = async <T>(tab: Tab, path: string, body = {}): Promise<T> =>
  read<T>(tab, await postPlainly(tab, path, body));

/** Posts to the sync API itself; resolves to whatever it answers. */
export const postPlainly = (tab: Tab, path: string, body: object): Promise<Response> =>
  withToken(tab, (token) => sendBody(tab, path, token, body));

const sendBody = (tab: Tab, path: string, token: string, body: object): Promise<Response> =>
  tab.core_.send_(
    tab,
    path,
    { 'Content-Type': 'application/json', 'X-CSRFToken': token },
    { method: 'POST', body: JSON.stringify(body) },
  );

async function read<T>(tab: Tab, response: Response): Promise<T> {
  const answer = await bodyOf<T & Refusal>(response);
  if (response.status === 401) void tab.core_.ask_(tab);
  if (!response.ok || !answer) throw tab.core_.failureOf_(response, answer);
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
  const { state } = await tab.core_.ask_(tab);
  return idOf(state?.user) === user ? sendWith(await renewToken(tab)) : response;
}

async function renewToken(tab: Tab): Promise<string> {
  const response = await tab.core_.send_(tab, '/api/csrf');
  const body = await bodyOf<{ csrf_token?: string }>(response);
  if (!body?.csrf_token) throw tab.core_.failureOf_(response);
  keepToken(tab.scope_, body.csrf_token);
  return body.csrf_token;
}

/** Never rejects. */
export async function validate(tab: Tab): Promise<boolean> {
  try {
    const { valid } = await postUntokened<{ valid?: boolean }>(tab, '/api/session/validate');
    return valid === true;
  } catch (error) {
    if (!isSessionExpired(error)) tab.core_.complain_(tab, error as SessionError);
    return false;
  }
}

/** Slides the session's life time. */
export async function refresh(tab: Tab): Promise<RefreshAnswer> {
  const answer = await post<RefreshAnswer>(tab, '/api/session/refresh');
  await tab.core_.ask_(tab, true, true);
  return answer;
}

export async function signOut(tab: Tab): Promise<void> {
  try {
    await post(tab, '/logout');
  } catch (error) {
    if (!isSessionExpired(error)) {
      tab.core_.forget_(tab);
      throw error;
    }
  }
  tab.core_.end_(tab, { error_code: 'SESSION_ENDED', reason: 'signed_out' }, true);
}
