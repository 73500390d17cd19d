import { expired } from './errors.js';
import { settle } from './life.js';
import { clearStorage } from './storage.js';
import { handleIn, type Tab, tell } from './tab.js';
import { changed, dispatch, show } from './voice.js';
import type { Refusal } from './wire.js';

/** Once per session: says so, forgets, and goes to sign in unless the page prevents it. */
export function end(tab: Tab, body: Refusal, announce: boolean): void {
  const handle = handleIn(tab);
  const gone = body.error_code === 'SESSION_REQUIRED';
  const { over_: before, view_: view } = tab;
  const reason = (gone ? 'signed_out' : body.reason) ?? 'unknown';
  tab.over_ = reason;
  // Nobody was signed in: no end.
  if (before || (!view && gone)) return settle(tab);
  tab.left_.add(handle);
  tab.view_ = tab.told_ = undefined;
  const why = { ...body, reason };
  if (announce) tell(tab, { type: 'ended', handle, why });
  settle(tab);
  show(tab);
  if (dispatch(tab, 'sessionExpired', why, true)) tab.leave_(expired(why));
}

/** What this page knows of a person who wanted to sign out, and could not, is shown no more. */
export function forget(tab: Tab): void {
  clearStorage(tab.scope_);
  tab.forgotten_ = true;
  changed(tab);
}
