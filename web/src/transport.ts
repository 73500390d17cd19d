import { hearStream } from './hear-stream.js';
import { backoff, pause, type Stop } from './scope.js';
import { readStream } from './stream.js';
import { checkInterval, now, positionOf, type Tab, visible } from './tab.js';
import { debug } from './voice.js';

const STRIKES = 3;
const TRY_AGAIN = 30;

/**
 * Keeps the tab's knowledge fresh, as the leader for all of them: by the stream while it holds,
 * asking why when it breaks; or on its own, or where streams cannot be had, by polling. A proxy
 * that cuts every stream short, or lets nothing through, counts as that, and is tried again now
 * and then.
 */
export function keep(tab: Tab, leading: boolean): Stop {
  const { scope_: scope } = tab;
  const { insist_: insist, setStatus_: setStatus } = tab.core_;
  const over = new AbortController();
  const { signal } = over;
  tab.inCharge_ = true;
  tab.leading_ = leading;
  debug(tab, leading ? 'leads' : 'polls');

  /** Returns the strikes against streams. */
  const stream = async (strikes: number, round: number) => {
    const opened = now(tab);
    if (round > 1) tab.counts_.reconnects++;
    const how = await readStream(scope, positionOf(tab), signal, (kind, data) => {
      tab.flowing_ = true;
      setStatus(tab, 'live');
      hearStream(tab, kind, data as never);
    });
    tab.flowing_ = false;
    if (how !== 'ended' && !signal.aborted) setStatus(tab, 'reconnecting');
    // One that lives shorter than the interval is worse than polling.
    if (now(tab) - opened < checkInterval(tab)) return strikes + 1;
    return how === 'silent' ? STRIKES : 0;
  };

  void (async () => {
    const start = leading ? 0 : Infinity;
    let strikes = start;
    for (let round = 1; !signal.aborted; round++) {
      if (strikes < STRIKES || (leading && round % TRY_AGAIN === 0)) {
        strikes = await stream(strikes, round);
        if (strikes < STRIKES) await pause(scope, backoff(strikes), signal);
      } else {
        setStatus(tab, 'polling');
        do await pause(scope, checkInterval(tab), signal);
        while (!leading && !visible(tab) && !signal.aborted);
      }
      // While the server is away, no stream is to blame.
      if (!signal.aborted && (await insist(tab))) strikes = Math.min(strikes, start);
    }
  })();
  return () => {
    over.abort();
    tab.inCharge_ = tab.leading_ = tab.flowing_ = false;
  };
}
