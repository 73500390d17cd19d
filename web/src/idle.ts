import { reconnect } from './reconnect.js';
import { attempt, every, type Stop } from './scope.js';
import { now, SECOND, setting, type Tab } from './tab.js';
import { deadlineOf, timeLeft } from './view.js';
import { dispatch } from './voice.js';

/** The server goes first, who knows whether staying is possible; in ms. */
const GRACE = 2000;
/** A clock that was set, or a machine that slept, is further off than this, in ms. */
const JUMP = 5000;

/** Watches the session's time run out, by the server's clock. */
export const watchTime = (tab: Tab): Stop =>
  every(tab.scope_, SECOND, () => warn(tab));

/** After a jump of the clock nobody knows what is left until the server is asked. */
function watchClock(tab: Tab): void {
  const drift = attempt(() => now(tab) - tab.scope_.performance.now()) ?? 0;
  const { drift_: before = drift } = tab;
  tab.drift_ = drift;
  if (!tab.transport_ || Math.abs(drift - before) < JUMP) return;
  tab.unsure_ = true;
  // A stream does not survive a sleep, and does not say so.
  reconnect(tab);
  void tab.core_.ask_(tab, true, true);
}

/** Tells the page once that the end is near, and if it is so no longer. */
export function warn(tab: Tab): void {
  const { view_: view } = tab;
  watchClock(tab);
  if (tab.unsure_) return;
  const left = view && timeLeft(view, now(tab));
  const { can_extend } = view?.state.session ?? {};
  const threshold = setting(tab, 'warning_threshold', 300) - (can_extend === undefined ? GRACE : 0);
  const deadline = left !== undefined && left <= threshold ? deadlineOf(view!) : undefined;
  if (deadline === tab.notice_?.deadline) return;
  const canExtend = can_extend !== false;
  tab.notice_ = deadline ? { secondsLeft: Math.round(left! / SECOND), canExtend, deadline } : undefined;
  tab.core_.changed_(tab);
  if (deadline && dispatch(tab, 'sessionExpiring', tab.notice_, true)) tab.prompt_();
}
