import { listen, type Stop, stopAll } from './scope.js';
import type { Tab } from './tab.js';

/** Follows the network as it goes and comes. */
export function watchNetwork(tab: Tab): Stop {
  const { scope_: scope } = tab;
  return stopAll([
    listen(scope, 'offline', () => tab.core_.setStatus_(tab, 'offline')),
    // Afterwards, or the next life, which listens as well, might be told of it too.
    listen(scope, 'online', () => void Promise.resolve().then(() => reconnect(tab))),
  ]);
}

/** For a connection that may be dead, or could be had again. */
export function reconnect(tab: Tab): void {
  if (!tab.transport_) return;
  tab.core_.setStatus_(tab, 'reconnecting');
  if (!tab.inCharge_) return;
  tab.transport_.stop_();
  tab.transport_ = undefined;
  tab.core_.settle_(tab);
}
