import { amend } from './hear-stream.js';
import { every, listen, stopAll, type Stop } from './scope.js';
import { handleIn, heartbeatInterval, now, type Tab, tell } from './tab.js';
import type { HeartbeatAnswer } from './wire.js';

/**
 * Notes that a person is there, and says so at most once in an interval; what a script does is
 * no activity, and nobody there is nothing to say.
 */
export function watchActivity(tab: Tab): Stop {
  const { scope_: scope } = tab;
  // A person acted in another tab.
  tab.heed_ = () => {
    tab.acted_ = true;
    sayActive(tab);
  };
  return stopAll([
    listen(scope.document, 'pointerdown keydown wheel touchstart', (event) => {
      if (event.isTrusted) tab.acted_ = true;
    }),
    every(scope, heartbeatInterval(tab), () => sayActive(tab)),
  ]);
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
  tab.act_().then(({ post }) => post<HeartbeatAnswer>(tab, '/api/session/heartbeat', { active: true })).then(
    ({ server_time, expires_at, idle_expires_at }) => {
      if (handle === handleIn(tab)) {
        amend(tab, 'fetch', 'heartbeat', { expires_at, idle_expires_at }, server_time);
      }
    },
    () => {}, // The next one will tell as well.
  );
}
