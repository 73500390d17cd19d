/**
 * What keeps a tab in touch with the server, for itself or for all: loaded as soon as a session is
 * known. A tab that takes part in finding a leader has all that leading needs.
 */
import { watchActivity } from './activity.js';
import { tellAlive } from './alive.js';
import { warn, watchTime } from './idle.js';
import { takePart } from './leader.js';
import { noteLag, touchOf } from './metrics.js';
import { watchNetwork } from './reconnect.js';
import { attempt, type Stop, stopAll } from './scope.js';
import { leavesGap } from './stamp.js';
import type { Tab } from './tab.js';
import { keep } from './transport.js';

export { leavesGap, noteLag, tellAlive, touchOf, warn };

export function connect(tab: Tab): Stop {
  const { scope_: scope } = tab;
  const lead = () => keep(tab, true);
  const goAlone = () => keep(tab, false);
  const canLead = tab.channel_ && scope.EventSource && attempt(() => scope.navigator.locks);
  warn(tab);
  // In memory before somebody acts; what fails now is tried again then.
  const warm = () => void tab.act_().catch(() => {});
  (scope.requestIdleCallback ?? scope.setTimeout)(warm);
  return stopAll([watchActivity(tab), watchTime(tab), watchNetwork(tab), canLead ? takePart(tab, lead, goAlone) : goAlone()]);
}
