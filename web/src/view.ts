import { compareStamps } from './stamp.js';
import type { SessionState } from './wire.js';

/** What a tab holds to be true. */
export interface View {
  readonly state: SessionState;
  /** When the server's answer came in, by this machine's clock, in ms. */
  readonly at: number;
}

export type Verdict = 'other' | 'newer' | 'same' | 'older';

export function handleOf(state: SessionState | undefined): string | undefined {
  return state?.session?.session_id;
}

/** How a state that is heard stands to the one that is held. */
export function weigh(held: SessionState | undefined, heard: SessionState): Verdict {
  if (!held || handleOf(held) !== handleOf(heard)) return 'other';
  const order = compareStamps(heard.stamp, held.stamp) ?? +(essence(heard) !== essence(held));
  return order > 0 ? 'newer' : order < 0 ? 'older' : 'same';
}

/** Without a stamp there is only the content to tell a change by. */
const essence = ({ user, platform }: SessionState): string => JSON.stringify([user, platform]);

/** When the session ends if nothing is done, by the server's clock, in ms since the epoch. */
export function deadlineOf({ state: { session } }: View): number | undefined {
  const ends = [session?.expires_at, session?.idle_expires_at]
    .map((time) => Date.parse(time ?? ''))
    .filter((time) => time);
  return ends.length ? Math.min(...ends) : undefined;
}

/** Milliseconds until then. */
export function timeLeft(view: View, now: number): number | undefined {
  const deadline = deadlineOf(view);
  // A wrong clock here must not make a session look expired.
  const offset = (Date.parse(view.state.sync?.server_time ?? '') || view.at) - view.at;
  return deadline && Math.max(0, deadline - now - offset);
}
