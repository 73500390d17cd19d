import { postPlainly } from './post.js';
import { stateIn, type Tab } from './tab.js';
import { idOf, type Refusal } from './wire.js';

/** The level that will be proved, by the tab that asks; 0: none. One dialog for all who wait. */
const asking = new WeakMap<Tab, Promise<number>>();

/** Has the person prove anew who they are. Resolves to whether that suffices. Never rejects. */
export async function confirmed(tab: Tab, { required }: Refusal): Promise<boolean> {
  const level = required?.level ?? 1;
  for (let asked = asking.get(tab); asked; asked = asking.get(tab)) {
    const proved = await asked;
    if (!proved || proved >= level) return !!proved;
  }
  const asked = askPerson(tab, level)
    .catch(() => 0) // The caller has the server's refusal.
    .finally(() => asking.delete(tab));
  asking.set(tab, asked);
  return !!(await asked);
}

async function askPerson(tab: Tab, level: number): Promise<number> {
  const user = idOf(stateIn(tab)?.user);
  const { askToConfirm } = await import('./session-confirm.js');
  const proved = await askToConfirm((path, body) => postPlainly(tab, path, body), level);
  if (!proved) return 0;
  if (!proved.user || idOf(proved.user) === user) return proved.level;
  // Somebody else has signed in, for whom nothing is done over: the page follows.
  void tab.core_.ask_(tab);
  return 0;
}
