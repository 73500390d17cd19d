import { attempt, type Scope } from './scope.js';
import { clearStorage, keepReturnPath, writePin } from './storage.js';

const LOGIN = '/login';

/** Forgets what this origin's pages know of the person, and goes to sign in. */
export function leave(scope: Scope, mayReturn: boolean): void {
  clearStorage(scope);
  if (!mayReturn) writePin(scope, undefined);
  // Already there: going again would reload for ever.
  if (attempt(() => scope.location.pathname) === LOGIN) return;
  if (mayReturn) attempt(() => keepReturnPath(scope));
  scope.location.href = LOGIN;
}
