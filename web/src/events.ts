/** The client's events, by the names under which `window` tells them, and what they carry. */
import type { ExpiringNotice } from './voice.js';
import type { Id, Refusal, SessionState, SyncStatus } from './wire.js';

export interface PlatformSwitch {
  platformId: Id;
  platformName: string;
  platformType: string | undefined;
  stamp: string | undefined;
}

/** What the server said of it: `error` in words for the person, `ended_at`, `ended_from`. */
export interface SessionEnd extends Refusal {
  reason: string;
}

export interface SessionEvents {
  /** The session, or what the tab shows of it, is another than before. */
  sessionStateChanged: CustomEvent<SessionState>;
  /** Once in each tab, the switching one included. */
  platformSwitched: CustomEvent<PlatformSwitch>;
  sessionExpiring: CustomEvent<ExpiringNotice>;
  /** Once per session in each tab. `preventDefault()` keeps the page from going to sign in. */
  sessionExpired: CustomEvent<SessionEnd>;
  sessionSyncStatus: CustomEvent<{ status: SyncStatus }>;
}

declare global {
  interface WindowEventMap extends SessionEvents {}
}
