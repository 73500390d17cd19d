/**
 * The classic script. It sets properties of `window` and declares nothing, so that a page may
 * write `const sessionSync = new SessionSync()`, or a class `SessionErrorHandler` of its own.
 */
import { debounce } from './coalesce.js';
import { handleSessionErrors, SessionErrorHandler } from './error-handler.js';
import type { Scope } from './scope.js';
import { SessionSync } from './session-sync.js';

const scope = window as Scope & { debounce?: unknown };
Object.assign(scope, { SessionSync, SessionErrorHandler });
// The specification's snippet for focus uses one without saying whose.
scope.debounce ??= debounce;

const data = (document.currentScript as HTMLElement | null)?.dataset ?? {};
if (data.auto !== undefined) {
  handleSessionErrors(scope);
  new SessionSync(scope, { prompt: data.prompt !== 'off', signIn: data.signIn !== undefined }).init();
}
