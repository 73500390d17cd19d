import { post } from './api.js';
import { ask } from './ask.js';
import { amend } from './hear.js';
import { reconnect } from './life.js';
import { attempt, every, listen, stopAll, type Stop } from './scope.js';
import { handleIn, heartbeatInterval, now, SECOND, setting, type Tab, tell } from './tab.js';
import { deadlineOf, timeLeft } from './view.js';
import { changed, dispatch } from './voice.js';
import type { HeartbeatAnswer } from './wire.js';

/** The server goes first, who knows whether staying is possible; in ms. */
const GRACE = 2000;
/** A clock that was set, or a machine that slept, is further off than this, in ms. */
const JUMP = 5000;

/**
 * Notes that a person is there, and says so at most once in an interval; what a script does is
 * no activity, and nobody there is nothing to say.
 */
export function watchActivity(tab: Tab): Stop {
  const { scope_: scope } = tab;
  return stopAll([
    listen(scope.document, 'pointerdown keydown wheel touchstart', (event) => {
      if (event.isTrusted) tab.acted_ = true;
    }),
    every(scope, heartbeatInterval(tab), () => sayActive(tab)),
  ]);
}

/** A person acted in another tab. */
export function acted(tab: Tab): void {
  tab.acted_ = true;
  sayActive(tab);
}

/** One tab tells the server of a person who may be in any of them. */
function sayActive(tab: Tab): void {
  const at = now(tab);
  // A timer may fire a little early.
  if (!tab.acted_ || at - tab.saidAt_ < heartbeatInterval(tab) * 0.9) return;
  tab.acted_ = false;
  tab.saidAt_ = at;
  if (!tab.inCharge_) return tell(tab, { type: 'active' });
  const handle = handleIn(tab);
  post<HeartbeatAnswer>(tab, '/api/session/heartbeat', { active: true }).then(
    ({ server_time, expires_at, idle_expires_at }) => {
      if (handle === handleIn(tab)) {
        amend(tab, 'fetch', 'heartbeat', { expires_at, idle_expires_at }, server_time);
      }
    },
    () => {}, // The next one will tell as well.
  );
}

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
  void ask(tab, true, true);
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
  changed(tab);
  if (deadline && dispatch(tab, 'sessionExpiring', tab.notice_, true)) tab.prompt_();
}
