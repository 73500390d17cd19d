/**
 * However many ask at once, one call runs and at most one waits behind it. Whoever asks during a
 * call gets the next one's result, because the running one may have left before the change that
 * made them ask.
 */
export function coalesce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let waiting: Promise<T> | undefined;
  const start = () =>
    (running = work().finally(() => {
      running = undefined;
    }));
  const next = () => {
    waiting = undefined;
    return start();
  };
  return () => {
    if (!running && !waiting) return start();
    return (waiting ??= running!.then(next, next));
  };
}

/** Calls `work` once things have been quiet for `ms`. */
export function debounce<A extends unknown[]>(
  work: (...args: A) => void,
  ms = 0,
): (...args: A) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}
