export {
  isSessionError,
  isSessionExpired,
  isSessionNetwork,
  isSessionRefused,
  isSessionUnavailable,
  SessionError,
  type SessionExpiredError,
  type SessionNetworkError,
  type SessionRefusedError,
  type SessionUnavailableError,
} from './errors.js';
export type { PlatformSwitch, SessionEvents } from './events.js';
export { handleSessionErrors, SessionErrorHandler } from './error-handler.js';
export type { PerformanceMetrics } from './metrics.js';
export { type Options, SessionSync } from './session-sync.js';
export type { Choice } from './tab.js';
export type { ExpiringNotice, Heard, Snapshot } from './voice.js';
export type { Scope, Stop } from './scope.js';
export type * from './wire.js';
