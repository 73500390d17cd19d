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

export function listen(
  target: EventTarget | undefined,
  types: readonly string[],
  listener: (event: Event) => void,
): Stop {
  // Capture, so that no handler of the page can keep an event from us.
  const options = { capture: true, passive: true };
  for (const type of types) target?.addEventListener(type, listener, options);
  return () => {
    for (const type of types) target?.removeEventListener(type, listener, options);
  };
}

export function after(scope: Scope, ms: number, work: () => void): Stop {
  const timer = scope.setTimeout(work, ms);
  return () => scope.clearTimeout(timer);
}

export function every(scope: Scope, ms: number, work: () => void): Stop {
  const timer = scope.setInterval(work, ms);
  return () => scope.clearInterval(timer);
}

/** Resolves after `ms`, or as soon as the signal is aborted. */
export function pause(scope: Scope, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      unhear();
      resolve();
    };
    const cancel = after(scope, signal?.aborted ? 0 : ms, finish);
    const unhear = listen(signal, ['abort'], finish);
  });
}

/** The delay before the next question, in ms: doubling, jittered, never above a second. */
export function backoff(failures: number): number {
  return Math.min(1000, 250 * 2 ** failures) * (0.5 + Math.random() / 2);
}
