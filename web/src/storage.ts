import { attempt, type Scope } from './scope.js';

const PREFIX = 'vedfolnir_';
const MARKER = 'vedfolnir_session_state';
const TAB = 'vedfolnir_tab_id';
const RETURN = 'vedfolnir_return_to';
const PIN = 'vedfolnir_pin';

/** What is kept for this tab alone. `undefined` where nothing may be kept. */
const get = (scope: Scope, key: string) => attempt(() => scope.sessionStorage.getItem(key));
const set = (scope: Scope, key: string, value: string | undefined): void =>
  attempt(() => {
    if (value === undefined) scope.sessionStorage.removeItem(key);
    else scope.sessionStorage.setItem(key, value);
  });

/** Says that somebody synced, and up to where; the state itself is never stored. */
export function writeMarker(scope: Scope, stamp: string | undefined, tab: string): void {
  const marker = { stamp: stamp ?? null, at: scope.Date.now(), tab };
  attempt(() => scope.localStorage.setItem(MARKER, JSON.stringify(marker)));
}

export function clearStorage(scope: Scope): void {
  attempt(() => {
    for (const key of new Set([MARKER, ...Object.keys(scope.localStorage)])) {
      if (key.startsWith(PREFIX)) scope.localStorage.removeItem(key);
    }
  });
}

/** The id that this tab had on the page before, or a new one. It is no secret. */
export const tabIdOf = (scope: Scope): string =>
  get(scope, TAB) ?? `tab_${Math.random().toString(36).slice(2)}${scope.Date.now().toString(36)}`;

/**
 * While a page lives its id is not in storage, because a tab that is duplicated starts with a
 * copy of the storage and must not take the id along.
 */
export const claimTabId = (scope: Scope): void => set(scope, TAB, undefined);
export const handOnTabId = (scope: Scope, id: string): void => set(scope, TAB, id);

export const readPin = (scope: Scope): string | null | undefined => get(scope, PIN);
export const writePin = (scope: Scope, pin: string | undefined): void => set(scope, PIN, pin);

export function keepReturnPath(scope: Scope): void {
  const { pathname, search = '' } = scope.location;
  if (pathname) set(scope, RETURN, pathname + search);
}

/** Where the person was when the session expired, once: a path on this origin, or `null`. */
export function takeReturnPath(scope: Scope): string | null {
  const path = get(scope, RETURN);
  set(scope, RETURN, undefined);
  return path && /^\/(?![/\\])/.test(path) ? path : null;
}
