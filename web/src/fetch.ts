import { withToken } from './api.js';
import { ask, known } from './ask.js';
import type { Tab } from './tab.js';
import { idOf } from './wire.js';

const SAFE = /^(GET|HEAD|OPTIONS|TRACE)$/;
// These speak of the session's platform, whatever the tab shows.
const SYNC_API = /^\/(login|logout|api\/(csrf|sessions?|session_state|switch_platform|user_platforms))(\/|$)/;

/** `fetch` for the application's own requests to its own origin. */
export async function fetchAs(
  tab: Tab,
  input: RequestInfo | URL,
  init: RequestInit = {},
): Promise<Response> {
  await known(tab);
  const { scope_: scope } = tab;
  const request = typeof input === 'object' && 'headers' in input ? input : undefined;
  const url = new URL(request?.url ?? String(input), scope.location.href);
  if (url.origin !== scope.location.origin) {
    throw new TypeError('sessionSync.fetch is for requests to this origin only');
  }
  const headers = new Headers(init.headers ?? request?.headers);
  const platform = idOf(tab.view_?.state.platform);
  if (platform && !SYNC_API.test(url.pathname) && !headers.has('X-Platform-Id')) {
    headers.set('X-Platform-Id', platform);
  }
  headers.set('X-Requested-With', 'XMLHttpRequest');
  const send = (token?: string) => {
    if (token) headers.set('X-CSRFToken', token);
    // A redirect to elsewhere must not take these headers along.
    return scope.fetch(request?.clone() ?? input, { ...init, headers, mode: 'same-origin' });
  };
  const safe = SAFE.test((init.method ?? request?.method ?? 'GET').toUpperCase());
  const response = await (safe ? send() : withToken(tab, send));
  if (response.status === 401) void ask(tab);
  return response;
}
