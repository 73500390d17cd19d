import { tellAlive } from './alive.js';
import { attempt, every, listen, type Stop, stopAll } from './scope.js';
import { type Tab, tell, visible } from './tab.js';

const LOCK = 'vedfolnir_session';
/** How often a tab that somebody sees wants to hear of the leader, in ms; and a bit, not in step. */
const BEAT = 300;
const JITTER = 100;
/** How many beats of silence in a row mean that it is gone. */
const SILENCE = 3;

/**
 * Finds one leader among the tabs. The browser frees the lock of a tab that is closed or crashes;
 * but one that is stopped in a debugger, or frozen, keeps it. So a tab that somebody sees asks for
 * a sign of life, and takes the lock from a leader that gives none. The robbed one steps down when
 * it wakes: two leaders for a moment do no harm.
 *
 * Who was robbed though it lives and hears nobody, or is not allowed to lead, is cut off from the
 * other tabs, and keeps in touch alone until it hears them.
 */
export function takePart(tab: Tab, lead: () => Stop, goAlone: () => Stop): Stop {
  const { scope_: scope } = tab;
  let charge: Stop | undefined;
  let withdraw: Stop | undefined;
  let robbed = false;
  let silent = 0;

  const become = (start?: () => Stop) => {
    charge?.();
    charge = start?.();
  };
  const request = (steal: boolean) => {
    withdraw?.();
    const over = new AbortController();
    const { signal } = over;
    withdraw = () => over.abort();
    const held = () =>
      new Promise<void>((release) => {
        if (signal.aborted) return release();
        listen(signal, 'abort', () => release());
        become(lead);
        tellAlive(tab);
      });
    const failed = () => {
      if (signal.aborted) return;
      robbed = true;
      if (!tab.leading_) return become(goAlone);
      become();
      request(false);
    };
    const options = steal ? { steal } : { signal };
    const asked = attempt(() => scope.navigator.locks.request(LOCK, options, held));
    if (asked) asked.catch(failed);
    else failed();
  };

  request(false);
  tell(tab, { type: 'ping' });
  return stopAll([
    every(scope, BEAT + JITTER * Math.random(), () => {
      if (tab.leading_) return;
      const { spoken_: spoken } = tab;
      tab.spoken_ = false;
      silent = spoken || !visible(tab) ? 0 : silent + 1;
      if (spoken) {
        robbed = false;
        if (tab.inCharge_) become();
      } else if (silent >= SILENCE && !tab.inCharge_) {
        silent = 0;
        if (robbed) become(goAlone);
        else request(true);
      } else if (silent) tell(tab, { type: 'ping' });
    }),
    () => withdraw?.(),
    () => become(),
  ]);
}
