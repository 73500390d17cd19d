/**
 * Everything the client touches of its surroundings: a window, or in tests something that looks
 * like one. Its properties are read at the moment of use and never kept, so that a test (or a
 * polyfill) that replaces `fetch` or `localStorage` later is obeyed.
 */
export type Scope = Window & typeof globalThis;

/** What every start returns. Calling it twice does no harm. */
export type Stop = () => void;

/** For what a browser may refuse by throwing, as `localStorage` does with cookies blocked. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

export const stopAll =
  (stops: readonly Stop[]): Stop =>
  () =>
    stops.forEach((stop) => stop());

/** Listens to events, named with blanks between them. */
export function listen(
  target: EventTarget | undefined,
  types: string,
  listener: (event: Event) => void,
): Stop {
  const each = (method: 'addEventListener' | 'removeEventListener') => {
    for (const type of types.split(' ')) {
      // Capture, so that no handler of the page can keep an event from us.
      target?.[method]?.(type, listener, true);
    }
  };
  each('addEventListener');
  return () => each('removeEventListener');
}

export function after(scope: Scope, ms: number, work: () => void): Stop {
  const timer = scope.setTimeout(work, ms);
  return () => scope.clearTimeout(timer);
}

export function every(scope: Scope, ms: number, work: () => void): Stop {
  const timer = scope.setInterval(work, ms);
  return () => scope.clearInterval(timer);
}

/** Resolves after `ms`, as soon as the network is back, or when the signal is aborted. */
export function pause(scope: Scope, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      stop();
      resolve();
    };
    const stop = stopAll([
      after(scope, ms, finish),
      listen(signal, 'abort', finish),
      listen(scope, 'online', finish),
    ]);
  });
}

/**
 * The delay before the next question, in ms: doubling up to a second, then growing with the
 * outage up to half a minute, and never the same for everybody.
 */
export function backoff(failures: number, outage = 0): number {
  const ms = Math.max(Math.min(1000, 250 * 2 ** failures), Math.min(30_000, outage / 30));
  return ms * (0.5 + Math.random() / 2);
}
