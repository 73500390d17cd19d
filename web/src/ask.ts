import { readState } from './api.js';
import { end } from './end.js';
import { isSessionUnavailable, type SessionError } from './errors.js';
import { hear } from './hear.js';
import { backoff, pause } from './scope.js';
import { writeMarker } from './storage.js';
import { handleIn, now, online, positionOf, stateIn, type Tab } from './tab.js';
import { handleOf } from './view.js';
import { complain, heard, setStatus } from './voice.js';
import type { SessionState } from './wire.js';

export interface Exchange {
  /** `null`: nobody is signed in, or nothing is known, or the page shows somebody else. */
  state: SessionState | null;
  /** Set if the server said nothing; a refusal is an answer. */
  error?: SessionError;
}

/** Longer than a cookie takes to arrive after the event that announced it. */
const COOKIE_DELAY = 300;

/** Asks the server and takes in what it says. Never rejects. */
export function ask(tab: Tab, announce = true, fresh = false): Promise<Exchange> {
  tab.announce_ ||= announce;
  tab.fresh_ ||= fresh;
  return tab.exchange_();
}

/** Resolves once it is known what the tab shows, or that nobody can tell. */
export async function known(tab: Tab): Promise<void> {
  if (tab.life_ && !tab.answeredAt_) await tab.flight_;
}

/**
 * Asks until the server answers, in one loop however many want it: soon again, but never in step
 * with everybody else; if it has failed already, not at once. Resolves to the number of failures.
 */
export function insist(tab: Tab, error?: SessionError): Promise<number> {
  return (tab.insisting_ ??= (async () => {
    const signal = tab.life_?.signal;
    const since = now(tab);
    let failures = 0;
    for (;;) {
      if (error) {
        const wait = isSessionUnavailable(error) ? error.retryAfter : 0;
        await pause(tab.scope_, Math.max(backoff(failures++, now(tab) - since), wait), signal);
      }
      if (!signal || signal.aborted) break;
      ({ error } = await ask(tab));
      if (!error) break;
    }
    // Else another life may insist by now.
    if (!signal?.aborted) tab.insisting_ = undefined;
    return failures;
  })());
}

export async function exchange(tab: Tab): Promise<Exchange> {
  const { announce_: announce = false, fresh_: fresh, counts_: counts } = tab;
  tab.announce_ = tab.fresh_ = false;
  const asked = handleIn(tab);
  const began = (tab.heardAt_ = now(tab));
  counts.syncCount++;
  try {
    const { state, refusal } = await askForState(tab, fresh);
    const at = (tab.answeredAt_ = tab.heardAt_ = now(tab));
    tab.time_ += at - began;
    tab.failures_ = 0;
    tab.complained_ = false;
    // What was asked about another session is void.
    const same = asked === handleIn(tab);
    if (refusal) {
      if (same) end(tab, refusal, announce);
      return { state: null };
    }
    if (!state) heard(tab, 'fetch', 'unchanged', stateIn(tab)?.stamp);
    else {
      tab.unsure_ = false;
      if (same || handleOf(state) === handleIn(tab)) {
        hear(tab, state, 'fetch', 'state', at, announce);
      }
    }
    writeMarker(tab.scope_, stateIn(tab)?.stamp, tab.id_);
    if (tab.leading_ && tab.flowing_) setStatus(tab, 'live');
    return { state: (!tab.replaced_ && stateIn(tab)) || null };
  } catch (thrown) {
    const error = thrown as SessionError;
    counts.errorCount++;
    // A blip is nobody's business; an outage is told once.
    if (++tab.failures_ === 3) complain(tab, error);
    if (tab.life_ && (!tab.answeredAt_ || tab.inCharge_)) {
      setStatus(tab, online(tab) ? 'reconnecting' : 'offline');
      void insist(tab, error);
    }
    return { state: null, error };
  }
}

async function askForState(tab: Tab, fresh: boolean | undefined) {
  const answer = await readState(tab, fresh ? undefined : positionOf(tab));
  const { error_code, reason } = answer.refusal ?? {};
  if (error_code !== 'SESSION_ENDED' || reason !== 'signed_out' || !tab.view_) return answer;
  // Signing in anew ends the old session first: the new one's cookie may be on its way.
  await pause(tab.scope_, COOKIE_DELAY);
  return readState(tab);
}
