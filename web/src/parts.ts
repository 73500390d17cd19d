import { unreached } from './errors.js';

// The builder puts the version into these addresses, and `again` for another try.
export const act = (_again: string) => import('./session-act.js');
export const live = (_again: string) => import('./session-live.js');

/**
 * Loads a part of this script when it is needed. A failure is a network error; the next use tries
 * again, under another address, because browsers remember one that failed.
 */
export function part<T>(load: (again: string) => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  let again = '';
  return () =>
    (loading ??= load(again).catch((cause: unknown) => {
      again += '&';
      loading = undefined;
      throw unreached(cause);
    }));
}
