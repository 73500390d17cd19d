import { post } from './api.js';
import type { ExpiringNotice } from './channel.js';
import { every, listen, stopAll, type Stop } from './scope.js';
import { handleIn, heartbeatInterval, now, SECOND, setting, type Tab, tell } from './tab.js';
import { timeLeft } from './view.js';
import { dispatch, show } from './voice.js';
import type { HeartbeatAnswer } from './wire.js';

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
  const era = tab.era_;
  post<HeartbeatAnswer>(tab, '/api/session/heartbeat', { active: true }).then(
    ({ server_time, expires_at, idle_expires_at }) => {
      const { state } = tab.view_ ?? {};
      if (!state?.session || era !== tab.era_) return;
      const at = now(tab);
      const session = { ...state.session, expires_at, idle_expires_at };
      const extended = { ...state, session, sync: { ...state.sync, server_time } };
      tab.view_ = { state: extended, at };
      show(tab);
      tell(tab, { type: 'state', kind: 'heartbeat', state: extended }, at);
    },
    () => {}, // The next one will tell as well.
  );
}

/** Polling, there is nobody who warns. */
export function warn(tab: Tab): void {
  const left = tab.view_ && timeLeft(tab.view_, now(tab));
  if (left === undefined || left > setting(tab, 'warning_threshold', 300)) return;
  const { expires_at, idle_expires_at } = tab.view_?.state.session ?? {};
  const ends = `${expires_at} ${idle_expires_at}`;
  if (tab.warned_ === ends) return;
  tab.warned_ = ends;
  expiring(tab, { secondsLeft: Math.round(left / SECOND), canExtend: true }, tab.leading_);
}

export function expiring(tab: Tab, notice: ExpiringNotice, announce: boolean): void {
  if (announce) tell(tab, { type: 'expiring', handle: handleIn(tab), notice });
  dispatch(tab, 'sessionExpiring', notice);
}
