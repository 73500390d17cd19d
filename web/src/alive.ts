import { handleIn, stateIn, type Tab, tell } from './tab.js';

/** A leader's sign of life. */
export const tellAlive = (tab: Tab): void =>
  tell(tab, {
    type: 'alive',
    status: tab.status_,
    handle: handleIn(tab),
    stamp: stateIn(tab)?.stamp,
  });
