/**
 * The names that the classic script sets, for programs that use it by a script tag:
 * `/// <reference types="@vedfolnir/session-sync/script" />`, or `types` in tsconfig.json.
 */
import type { SessionErrorHandler as Handler } from './error-handler.js';
import type { SessionSync as Sync } from './session-sync.js';

export type { SessionEvents } from './events.js';

declare global {
  var SessionSync: typeof Sync;
  var SessionErrorHandler: typeof Handler;
  /** The one that was started last; not there before `init()`. */
  var sessionSync: Sync | undefined;
}
