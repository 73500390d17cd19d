import type { Telling } from './channel.js';
import { coalesce } from './coalesce.js';
import { attempt, type Scope, type Stop } from './scope.js';
import { tabIdOf } from './storage.js';
import { handleOf, type View } from './view.js';
import type { Exchange } from './ask.js';
import type { Heard } from './voice.js';
import type { SyncStatus } from './wire.js';

export const SECOND = 1000;

/**
 * What one tab knows. The files beside this one are the ideas that work on it: how it asks
 * (`ask`), hears (`hear`), keeps in touch (`life`, `leader`, `transport`, `channel`), ends
 * (`end`) and tells the page (`voice`, `page`).
 *
 * Names that end in "_" are shortened in the scripts; they are nobody else's to use.
 */
export class Tab {
  readonly id_: string;
  /** Asks the server, or joins whoever is about to. */
  readonly exchange_: () => Promise<Exchange>;

  // --- what it holds to be true ---

  view_: View | undefined;
  /** Whom this page was last filled in for; survives the session's end. */
  user_: string | undefined;
  /** Somebody else has signed in; this page shows what is not theirs, and is being reloaded. */
  replaced_ = false;
  /** Rises when the session becomes another or none: what was asked before is then void. */
  era_ = 0;
  /** Sessions this tab has left; none of them comes back. */
  readonly left_ = new Set<string | undefined>();
  over_ = false;
  /** The session was ended by the person, who wants no way back to it. */
  signedOut_ = false;

  // --- how it keeps that true ---

  /** Whether the server wants tabs to keep in touch; what it said last holds when signed out. */
  enabled_ = true;
  running_ = false;
  answered_ = false;
  answeredAt_: number | null = null;
  heardAt_ = 0;
  failures_ = 0;
  /** Whether the next question's answer is told to the other tabs, and may not be a 304. */
  announce_ = false;
  fresh_ = false;
  flight_: Promise<Exchange> | undefined;
  channel_: { tell_(telling: Telling, at: number): void; close_: Stop } | undefined;
  transport_: { handle_: string | undefined; stop_: Stop } | undefined;
  /** Whether this tab asks the server for itself (polling) or for all (leading). */
  inCharge_ = false;
  leading_ = false;
  /** The deadlines that were warned of. */
  warned_: string | undefined;
  /** A person has acted in this tab, or in one that this tab leads. */
  acted_ = false;
  saidAt_ = 0;
  settledMarker_: string | null | undefined;

  // --- what it tells the page ---

  status_: SyncStatus | undefined;
  debugging_ = false;
  complained_ = false;
  readonly listeners_ = new Set<(heard: Heard) => void>();
  readonly lines_: unknown[][] = [];
  syncs_ = 0;
  errors_ = 0;
  time_ = 0;
  streamEvents_ = 0;
  channelMessages_ = 0;

  constructor(
    readonly scope_: Scope,
    /** Goes to sign in. */
    readonly leave_: () => void,
    exchange: (tab: Tab) => Promise<Exchange>,
  ) {
    this.id_ = tabIdOf(scope_);
    this.exchange_ = coalesce(() => (this.flight_ = exchange(this)));
  }
}

export const now = (tab: Tab): number => tab.scope_.Date.now();

export const handleIn = (tab: Tab): string | undefined => handleOf(tab.view_?.state);

export const online = (tab: Tab): boolean => attempt(() => tab.scope_.navigator.onLine) !== false;

/** Tells the other tabs. */
export const tell = (tab: Tab, telling: Telling, at = now(tab)): void =>
  tab.channel_?.tell_(telling, at);

/** A time that the server sets, in ms. */
export const setting = (
  tab: Tab,
  name: 'check_interval' | 'heartbeat_interval' | 'warning_threshold',
  otherwise: number,
): number => (tab.view_?.state.sync?.[`${name}_seconds`] || otherwise) * SECOND;

export const checkInterval = (tab: Tab): number => setting(tab, 'check_interval', 2);
export const heartbeatInterval = (tab: Tab): number => setting(tab, 'heartbeat_interval', 30);
