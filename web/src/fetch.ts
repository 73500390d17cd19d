import { bodyOf } from './api.js';
import { known } from './ask.js';
import { confirmed } from './confirm.js';
import { shownPlatform } from './pin.js';
import { withToken } from './post.js';
import type { Tab } from './tab.js';
import { idOf, type Refusal } from './wire.js';

const SAFE = /^(GET|HEAD|OPTIONS|TRACE)$/i;
// These speak of the session's platform, whatever the tab shows.
const SYNC_API = /^\/(login|logout|api\/(csrf|sessions?|session_state|switch_platform|user_platforms))(\/|$)/;

/**
 * `fetch`, and for the application's own requests to its own origin: as the platform that the tab
 * shows at the moment of the call. What wants a fresh proof of who the person is, is asked of them
 * in the page, and then it is done once more.
 */
export async function fetchAs(
  tab: Tab,
  /** What was shown when it was called, which may be before this was loaded. */
  shown: string | undefined,
  input: RequestInfo | URL,
  init: RequestInit = {},
): Promise<Response> {
  const { scope_: scope } = tab;
  const request = typeof input === 'object' && 'headers' in input ? input : undefined;
  const url = new URL(request?.url ?? String(input), scope.location.href);
  if (url.origin !== scope.location.origin) return scope.fetch(input, init);
  const headers = new Headers(init.headers ?? request?.headers);
  await known(tab);
  const platform = shown ?? idOf(shownPlatform(tab));
  if (platform && !SYNC_API.test(url.pathname) && !headers.has('X-Platform-Id')) {
    headers.set('X-Platform-Id', platform);
  }
  headers.set('X-Requested-With', 'XMLHttpRequest');
  const send = (token?: string) => {
    if (token) headers.set('X-CSRFToken', token);
    // A redirect to elsewhere must not take these headers along.
    return scope.fetch(request?.clone() ?? input, { ...init, headers, mode: 'same-origin' });
  };
  const safe = SAFE.test(init.method ?? request?.method ?? 'GET');
  const sent = () => (safe ? send() : withToken(tab, send));
  const response = await sent();
  // The session's end, or trouble with it: the server is asked, which tells every tab.
  if (/401|50[234]/.test(`${response.status}`)) void tab.core_.ask_(tab);
  // A stream's body is gone by now.
  const repeatable = scope.document && !(init.body instanceof ReadableStream);
  if (response.status !== 403 || !repeatable) return response;
  const refusal = await bodyOf<Refusal>(response.clone());
  if (refusal?.error_code !== 'REAUTH_REQUIRED') return response;
  return (await confirmed(tab, refusal)) ? sent() : response;
}
