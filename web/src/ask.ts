import { readState } from './api.js';
import { end } from './end.js';
import { isSessionUnavailable, type SessionError } from './errors.js';
import { glance } from './glance.js';
import { hear } from './hear.js';
import { warn } from './idle.js';
import { pause } from './scope.js';
import { readMarker, writeMarker } from './storage.js';
import { handleIn, now, online, type Tab } from './tab.js';
import type { Outcome } from './transport.js';
import { handleOf } from './view.js';
import { complain, heard, setStatus } from './voice.js';
import type { SessionState } from './wire.js';

export interface Exchange extends Outcome {
  /** `null`: nobody is signed in, or nothing is known, or the page shows somebody else. */
  state: SessionState | null;
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
  if (tab.running_ && !tab.answered_) await tab.flight_;
}

export async function exchange(tab: Tab): Promise<Exchange> {
  const scope = tab.scope_;
  const announce = tab.announce_;
  const fresh = tab.fresh_;
  tab.announce_ = tab.fresh_ = false;
  const era = tab.era_;
  const began = (tab.heardAt_ = now(tab));
  const marker = readMarker(scope);
  tab.syncs_++;
  try {
    const answer = await askForState(tab, fresh);
    const at = (tab.answeredAt_ = tab.heardAt_ = now(tab));
    tab.time_ += at - began;
    tab.failures_ = 0;
    tab.complained_ = false;
    tab.answered_ = true;
    if (answer.refusal) {
      if (era === tab.era_) end(tab, answer.refusal, announce);
      return { answered: true, state: null };
    }
    const { state } = answer;
    if (!state) heard(tab, 'fetch', 'unchanged', tab.view_?.state.stamp);
    else if (handleOf(state) === handleIn(tab) || era === tab.era_) {
      hear(tab, state, 'fetch', 'state', at, announce);
    }
    const stamp = tab.view_?.state.stamp;
    const written = readMarker(scope);
    // What another tab wrote while this answer was on its way may be news.
    if (written === marker || written === stamp) writeMarker(scope, stamp, tab.id_);
    else glance(tab);
    if (tab.status_ === 'polling') warn(tab);
    return { answered: true, state: tab.replaced_ ? null : (tab.view_?.state ?? null) };
  } catch (thrown) {
    const error = thrown as SessionError;
    tab.errors_++;
    // A blip is nobody's business; an outage is told once.
    if (++tab.failures_ === 3) complain(tab, error);
    if (!tab.answered_ || tab.inCharge_) {
      setStatus(tab, online(tab) ? 'reconnecting' : 'offline', tab.leading_);
    }
    const retryAfter = isSessionUnavailable(error) ? error.retryAfter : 0;
    return { answered: false, state: null, error, retryAfter };
  }
}

async function askForState(tab: Tab, fresh: boolean) {
  const { state } = tab.view_ ?? {};
  const handle = state?.stamp && handleOf(state);
  const answer = await readState(tab, handle && !fresh ? `"${handle}.${state.stamp}"` : undefined);
  const { error_code, reason } = answer.refusal ?? {};
  if (error_code !== 'SESSION_ENDED' || reason !== 'signed_out' || !tab.view_) return answer;
  // Signing in anew ends the old session first: the new one's cookie may be on its way.
  await pause(tab.scope_, COOKIE_DELAY);
  return readState(tab);
}
