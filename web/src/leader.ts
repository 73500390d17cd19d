import { attempt, type Scope, type Stop } from './scope.js';

/**
 * Calls `reign` when this tab becomes the one leader, and what that returned when it stops being
 * it. The browser frees the lock of a tab that is closed or crashes. Nothing of the page's ever
 * runs while another caller waits for this lock, so no callback can deadlock on it.
 */
export function lead(scope: Scope, reign: () => Stop): Stop {
  const over = new AbortController();
  const { signal } = over;
  const reigning = () =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      const abdicate = reign();
      signal.addEventListener('abort', () => {
        abdicate();
        resolve();
      });
    });
  attempt(() => scope.navigator.locks.request('vedfolnir_session', { signal }, reigning))?.catch(
    () => {}, // Only ever the abort of a request that was still waiting.
  );
  return () => over.abort();
}
