import { expired, refused, SessionError, unreached } from './errors.js';
import { after, attempt } from './scope.js';
import type { Tab } from './tab.js';
import type { Refusal, SessionState } from './wire.js';

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

export async function send(tab: Tab, path: string, headers = {}, more?: RequestInit): Promise<Response> {
  const late = new AbortController();
  const cancel = after(tab.scope_, TIMEOUT, () => late.abort());
  tab.counts_.requests++;
  try {
    const response = await tab.scope_.fetch(path, {
      method: 'GET',
      credentials: 'same-origin',
      cache: 'no-store',
      // A redirect is never an answer here; followed, it would be a page that says 200.
      redirect: 'manual',
      signal: late.signal,
      ...more,
      headers: {
        Accept: 'application/json',
        'X-Requested-With': 'XMLHttpRequest',
        ...headers,
      },
    });
    if (!response) throw new TypeError('no response');
    return response;
  } catch (cause) {
    throw unreached(cause);
  } finally {
    cancel();
  }
}

/** The JSON object of an answer; `undefined` for a proxy's page or an answer cut short. */
export async function bodyOf<T>(response: Response): Promise<T | undefined> {
  const body: unknown = await attempt(() => response.json())?.catch(() => undefined);
  return body && typeof body === 'object' ? (body as T) : undefined;
}

export function failureOf(response: Response, body?: Refusal): SessionError {
  const { status } = response;
  const limited = status === 429;
  if (status === 401) return expired(body);
  if (status >= 400 && status < 500 && !limited) return refused(status, body);
  // A store that is down may be back in a moment, whatever it says; a limit means it.
  const retryAfter = limited ? Number(response.headers.get('Retry-After')) * 1000 || 0 : 0;
  const message = 'The session service is unavailable at the moment.';
  return new SessionError('Unavailable', message, body, { status, retryAfter });
}
