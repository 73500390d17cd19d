import { attempt, type Stop } from './scope.js';
import type { SessionSync } from './session-sync.js';
import type { Tab } from './tab.js';

/** What a page may have that is worth a script of its own. */
const WANTED = 'user,email,platform,platform-type,platform-url,status,expires,form,switch,pin,sign-out'
  .replace(/[^,]+/g, '[data-session-$&]')
  .concat(',[data-platform-form]');

/** Loads what works on the page's elements, as soon as there is one. Returns its stop. */
export function attendPage(tab: Tab, sync: SessionSync): Stop {
  let page: Promise<Stop> | undefined;
  let over = false;
  const { scope_: scope } = tab;
  const look = () => {
    if (page || !attempt(() => scope.document.querySelector(WANTED))) return;
    page = import('./session-page.js').then(({ attend }) => (over ? () => {} : attend(sync, scope)));
    page.catch(() => (page = undefined));
  };
  tab.subscribers_.add(look);
  look();
  return () => {
    over = true;
    tab.subscribers_.delete(look);
    void page?.then((stop) => stop());
  };
}
