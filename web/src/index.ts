export type { ExpiringNotice } from './channel.js';
export {
  isSessionError,
  isSessionExpired,
  isSessionNetwork,
  isSessionRefused,
  isSessionUnavailable,
  SessionError,
  SessionExpiredError,
  SessionNetworkError,
  SessionRefusedError,
  SessionUnavailableError,
} from './errors.js';
export type { PlatformSwitch, SessionEvents } from './events.js';
export { handleSessionErrors, SessionErrorHandler } from './error-handler.js';
export { SessionSync } from './session-sync.js';
export type { Heard } from './voice.js';
export type { Scope, Stop } from './scope.js';
export type * from './wire.js';
