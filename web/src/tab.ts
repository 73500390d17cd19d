import type { Exchange } from './ask.js';
import type { Core } from './core.js';
import type { SessionError } from './errors.js';
import type { Telling } from './channel.js';
import { attempt, type Scope, type Stop } from './scope.js';
import { tabIdOf } from './storage.js';
import { handleOf, type View } from './view.js';
import type { ExpiringNotice, Heard, Snapshot } from './voice.js';
import type { SessionPlatform, SessionState, SwitchAnswer, SyncStatus } from './wire.js';

export const SECOND = 1000;

/** A platform that this tab acts as instead of the session's. */
export type Choice = Omit<SessionPlatform, 'name'> & { name?: string };

/**
 * What one tab knows; what is not there is false, or not known. The files beside this one are the
 * ideas that work on it: how it asks (`ask`), hears (`hear`), keeps in touch (`life`, `leader`,
 * `transport`, `channel`), switches (`switching`, `pin`), minds the time (`idle`), ends (`end`)
 * and tells the page (`voice`). Some come later (`session-live`, `session-act`).
 *
 * Names that end in "_" are shortened in the scripts; they are nobody else's to use.
 */
export interface Tab {
  readonly scope_: Scope;
  readonly id_: string;
  /** Says why the session is over and goes to sign in, or asks for it in place. */
  readonly leave_: (error: SessionError) => void;
  /** Loads the built-in prompt. */
  readonly prompt_: Stop;
  /** Asks the server, or joins whoever is about to. */
  readonly exchange_: () => Promise<Exchange>;
  /** What a part that is loaded later shares with this script. */
  readonly core_: Core;
  /** Loads what acts, and what keeps in touch. */
  readonly act_: () => Promise<typeof import('./session-act.js')>;
  readonly live_: () => Promise<typeof import('./session-live.js')>;
  /** Makes the newest choice the session's platform. */
  readonly switch_: () => Promise<SwitchAnswer>;

  // --- what it holds to be true ---

  view_?: View | undefined;
  /** Whom this page was last filled in for; survives the session's end. */
  user_?: string | undefined;
  /** Somebody else has signed in; this page shows what is not theirs, and is being reloaded. */
  replaced_?: boolean;
  /** Sessions this tab has left; none of them comes back. */
  readonly left_: Set<string | undefined>;
  /** Why the session is over, as soon as that is known. */
  over_?: string | undefined;
  /** The platform that is being switched to, and the promise of it. */
  pending_?: Choice | undefined;
  choosing_?: Promise<SwitchAnswer>;
  /** The last switch of an unbroken row of them. */
  switched_?: SwitchAnswer | undefined;
  /** The platform this tab stays with. */
  pin_?: { user: string | undefined; platform: SessionPlatform } | undefined;
  /** The platform the page was last told of. */
  told_?: string | undefined;

  // --- how it keeps that true ---

  /** The server wants no tab to keep in touch; what it said last holds when signed out. */
  alone_?: boolean;
  /** Aborted when the tab rests. */
  life_?: AbortController | undefined;
  answeredAt_?: number;
  heardAt_: number;
  failures_: number;
  insisting_?: Promise<number> | undefined;
  /** Whether the next question's answer is told to the other tabs, and may not be a 304. */
  announce_?: boolean;
  fresh_?: boolean;
  flight_?: Promise<Exchange>;
  channel_?: { tell_(telling: Telling, at: number): void; close_: Stop } | undefined;
  transport_?: { handle_: string | undefined; stop_: Stop } | undefined;
  /** Whether this tab asks the server for itself (polling) or for all (leading). */
  inCharge_?: boolean;
  leading_?: boolean;
  /** What keeps in touch, once it is there. */
  loaded_?: typeof import('./session-live.js') | undefined;
  /** Takes in that a person acted in another tab. */
  heed_?: Stop;
  /** The stream has just said something. */
  flowing_?: boolean;
  /** The leader has said something since this tab last looked. */
  spoken_?: boolean;
  /** The deadline that was warned of. */
  notice_?: ExpiringNotice | undefined;
  /** How far the clock is ahead of what counts time, in ms. */
  drift_?: number;
  /** The clock has jumped, and the server was not asked since. */
  unsure_?: boolean;
  /** A person has acted in this tab, or in one that this tab leads. */
  acted_?: boolean;
  saidAt_: number;

  // --- what it tells the page ---

  status_?: SyncStatus;
  /** The person wanted to sign out, and nobody could be told: nothing of theirs is shown. */
  forgotten_?: boolean;
  debugging_?: boolean;
  complained_?: boolean;
  snapshot_?: Snapshot | undefined;
  readonly heard_: Set<(heard: Heard) => void>;
  readonly subscribers_: Set<(snapshot: Snapshot) => void>;
  /** Milliseconds spent on answers. */
  time_: number;
  /** How much later it was here than the server said, in ms, the last of them. */
  readonly lags_: number[];
  readonly began_: number;
  readonly counts_: {
    syncCount: number;
    errorCount: number;
    streamEvents: number;
    channelMessages: number;
    reconnects: number;
    requests: number;
  };
}

/** What a tab begins with, beside what it can do. */
export const blank = (scope_: Scope) => ({
  scope_,
  id_: tabIdOf(scope_),
  left_: new Set<string | undefined>(),
  heardAt_: 0,
  failures_: 0,
  saidAt_: 0,
  heard_: new Set<(heard: Heard) => void>(),
  subscribers_: new Set<(snapshot: Snapshot) => void>(),
  time_: 0,
  lags_: [] as number[],
  began_: scope_.Date.now(),
  counts_: {
    syncCount: 0,
    errorCount: 0,
    streamEvents: 0,
    channelMessages: 0,
    reconnects: 0,
    requests: 0,
  },
});

export const now = (tab: Tab): number => tab.scope_.Date.now();

export const stateIn = (tab: Tab): SessionState | undefined => tab.view_?.state;

export const handleIn = (tab: Tab): string | undefined => handleOf(stateIn(tab));

export const online = (tab: Tab): boolean => attempt(() => tab.scope_.navigator.onLine) !== false;

export const visible = (tab: Tab): boolean =>
  attempt(() => tab.scope_.document.visibilityState) !== 'hidden';

/** Tells the other tabs. */
export const tell = (tab: Tab, telling: Telling, at = now(tab)): void =>
  tab.channel_?.tell_(telling, at);

/** A time that the server sets, in ms. */
export const setting = (
  tab: Tab,
  name: 'check_interval' | 'heartbeat_interval' | 'warning_threshold',
  otherwise: number,
): number => (stateIn(tab)?.sync?.[`${name}_seconds`] || otherwise) * SECOND;

export const checkInterval = (tab: Tab): number => setting(tab, 'check_interval', 2);
export const heartbeatInterval = (tab: Tab): number => setting(tab, 'heartbeat_interval', 30);

/** Beside the stamp, whose it is. */
export function positionOf(tab: Tab): string | undefined {
  const state = stateIn(tab);
  return state?.stamp && handleIn(tab) && `${handleIn(tab)}.${state.stamp}`;
}
