import { backoff, pause, type Scope, type Stop } from './scope.js';
import { readStream, type StreamKind } from './stream.js';
import type { SyncStatus } from './wire.js';

export interface Outcome {
  /** Whether the server said anything, a refusal included. */
  answered: boolean;
  /** How long it asked to be left alone, in ms. */
  retryAfter?: number;
}

/** What the tab in charge does for all of them, or a tab on its own for itself. */
interface Duty {
  /** In ms, between two questions when polling. */
  interval_: number;
  ask_(): Promise<Outcome>;
  /** Whether nobody would see the answer. */
  unseen_(): boolean;
  last_(): string | undefined;
  hear_(kind: StreamKind, data: unknown): void;
  status_(status: SyncStatus): void;
}

const STRIKES = 3;
const TRY_AGAIN = 30;

/**
 * Asks until the server answers: soon again, but never in step with everybody else. Resolves to
 * the number of failures.
 */
export async function insist(
  scope: Scope,
  ask: () => Promise<Outcome>,
  signal: AbortSignal,
): Promise<number> {
  for (let failures = 0; ; failures++) {
    if (signal.aborted) return failures;
    const { answered, retryAfter = 0 } = await ask();
    if (answered) return failures;
    await pause(scope, Math.max(backoff(failures), retryAfter), signal);
  }
}

/**
 * Keeps the tab's knowledge fresh: by the stream while it holds, asking why when it breaks, or by
 * polling where streams cannot be had. A proxy that cuts every stream short counts as that, and
 * is tried again now and then.
 */
export function keep(scope: Scope, duty: Duty, streams: boolean): Stop {
  const over = new AbortController();
  const { signal } = over;

  const stream = async () => {
    const opened = scope.Date.now();
    const ended = await readStream(
      scope,
      duty.last_(),
      signal,
      () => duty.status_('live'),
      duty.hear_,
    );
    if (!ended && !signal.aborted) duty.status_('reconnecting');
    // One that lives shorter than the interval is worse than polling.
    return scope.Date.now() - opened >= duty.interval_;
  };
  const poll = async () => {
    duty.status_('polling');
    do await pause(scope, duty.interval_, signal);
    while (duty.unseen_() && !signal.aborted);
  };

  void (async () => {
    const start = streams ? 0 : Infinity;
    let strikes = start;
    for (let round = 1; !signal.aborted; round++) {
      if (strikes < STRIKES || (streams && round % TRY_AGAIN === 0)) {
        strikes = (await stream()) ? 0 : strikes + 1;
        await pause(scope, backoff(strikes), signal);
      } else {
        await poll();
      }
      // While the server is away, no stream is to blame.
      if (await insist(scope, duty.ask_, signal)) strikes = Math.min(strikes, start);
    }
  })();
  return () => over.abort();
}
