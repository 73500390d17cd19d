import { attempt, type Scope } from './scope.js';

const PREFIX = 'vedfolnir_';
export const MARKER = 'vedfolnir_session_state';
const TAB = 'vedfolnir_tab_id';
const RETURN = 'vedfolnir_return_to';

/** Says that somebody synced, and up to where; the state itself is never stored. */
export function writeMarker(scope: Scope, stamp: string | undefined, tab: string): void {
  const marker = { stamp: stamp ?? null, at: scope.Date.now(), tab };
  attempt(() => scope.localStorage.setItem(MARKER, JSON.stringify(marker)));
}

/** The stamp of the last sync of any tab; `null` if there was none, or it was signed out. */
export function readMarker(scope: Scope): string | null {
  return attempt(() => JSON.parse(scope.localStorage.getItem(MARKER) ?? 'null')?.stamp) ?? null;
}

export function clearStorage(scope: Scope): void {
  attempt(() => {
    for (const key of new Set([MARKER, ...Object.keys(scope.localStorage)])) {
      if (key.startsWith(PREFIX)) scope.localStorage.removeItem(key);
    }
  });
}

/** The id that this tab had on the page before, or a new one. It is no secret. */
export function tabIdOf(scope: Scope): string {
  const fresh = () => `tab_${Math.random().toString(36).slice(2)}${scope.Date.now().toString(36)}`;
  return attempt(() => scope.sessionStorage.getItem(TAB)) ?? fresh();
}

/**
 * While a page lives its id is not in storage, because a tab that is duplicated starts with a
 * copy of the storage and must not take the id along.
 */
export function claimTabId(scope: Scope): void {
  attempt(() => scope.sessionStorage.removeItem(TAB));
}

export function handOnTabId(scope: Scope, id: string): void {
  attempt(() => scope.sessionStorage.setItem(TAB, id));
}

export function keepReturnPath(scope: Scope): void {
  attempt(() => {
    const { pathname, search } = scope.location;
    if (pathname) scope.sessionStorage.setItem(RETURN, pathname + (search ?? ''));
  });
}

/** Where the person was when the session expired, once: a path on this origin, or `null`. */
export function takeReturnPath(scope: Scope): string | null {
  const path = attempt(() => scope.sessionStorage.getItem(RETURN));
  attempt(() => scope.sessionStorage.removeItem(RETURN));
  return path && /^\/(?![/\\])/.test(path) ? path : null;
}
