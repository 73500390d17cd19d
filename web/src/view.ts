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
  const order = compareStamps(heard.stamp, held.stamp);
  if (order === undefined) return essence(heard) === essence(held) ? 'same' : 'newer';
  return order > 0 ? 'newer' : order < 0 ? 'older' : 'same';
}

/** Without a stamp there is only the content to tell a change by. */
function essence(state: SessionState): string {
  return JSON.stringify([state.user, state.platform]);
}

/** Milliseconds until the session ends if nothing is done, by the server's clock. */
export function timeLeft(view: View, now: number): number | undefined {
  const { session, sync } = view.state;
  const ends = [session?.expires_at, session?.idle_expires_at]
    .map((time) => Date.parse(time ?? ''))
    .filter((time) => !Number.isNaN(time));
  if (!ends.length) return undefined;
  const serverTime = Date.parse(sync?.server_time ?? '');
  // A wrong clock here must not make a session look expired.
  const offset = Number.isNaN(serverTime) ? 0 : serverTime - view.at;
  return Math.max(0, Math.min(...ends) - now - offset);
}
