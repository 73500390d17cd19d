import { SessionExpiredError } from './errors.js';
import { settle } from './life.js';
import { showSession } from './page.js';
import { handleIn, type Tab, tell } from './tab.js';
import { dispatch, raise } from './voice.js';
import type { Refusal } from './wire.js';

/** Once per session: says so, forgets, and goes to sign in unless the page prevents it. */
export function end(tab: Tab, body: Refusal, announce: boolean): void {
  const handle = handleIn(tab);
  const { error_code: code } = body;
  const gone = code === 'SESSION_REQUIRED';
  const was = tab.over_;
  tab.over_ = true;
  // Nobody was signed in: no end.
  if (was || (!tab.view_ && gone)) return settle(tab);
  const reason = (gone ? 'signed_out' : body.reason) ?? 'unknown';
  tab.era_++;
  tab.left_.add(handle);
  tab.view_ = undefined;
  tab.signedOut_ = reason === 'signed_out';
  if (announce) tell(tab, { type: 'ended', handle, code, reason });
  settle(tab);
  showSession(tab.scope_, undefined);
  if (!dispatch(tab, 'sessionExpired', { reason }, true)) return;
  if (!tab.signedOut_) raise(tab, new SessionExpiredError({ ...body, reason }));
  tab.leave_();
}
