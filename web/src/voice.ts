import { isSessionRefused, type SessionError } from './errors.js';
import { pinned, withPin } from './pin.js';
import { now, stateIn, type Choice, type Tab } from './tab.js';
import type { SessionState, SyncStatus } from './wire.js';

/** What a tab heard, when and from where; for a page that shows how the tabs keep together. */
export interface Heard {
  /** In ms since the epoch, as `sentAt`. */
  at: number;
  source: 'stream' | 'channel' | 'fetch' | 'local';
  kind: string;
  stamp: string | undefined;
  /** When the tab that passed it on had heard it. */
  sentAt?: number | undefined;
}

export interface ExpiringNotice {
  secondsLeft: number;
  canExtend: boolean;
  /** When, by the server's clock, in ms since the epoch. */
  deadline: number;
}

/** All that a page may want to show, at one moment. It is the same object until something changes. */
export interface Snapshot {
  /** With the platform that this tab acts as. `null`: signed out, or not known yet. */
  readonly state: SessionState | null;
  readonly status: SyncStatus | null;
  /** The platform that this tab is switching to, until the server has agreed or refused. */
  readonly pending: Choice | null;
  /** Whether this tab stays with its platform while others follow the session. */
  readonly pinned: boolean;
  /** Set from the moment the session's end is near until it is so no longer. */
  readonly expiring: ExpiringNotice | null;
}

/** Returns false if a listener prevented what comes next. */
export function dispatch(tab: Tab, type: string, detail: unknown, cancelable = false): boolean {
  debug(tab, type, detail);
  return tab.scope_.dispatchEvent(new tab.scope_.CustomEvent(type, { detail, cancelable }));
}

export function setStatus(tab: Tab, status: SyncStatus): void {
  if (status === tab.status_) return;
  tab.status_ = status;
  show(tab);
  dispatch(tab, 'sessionSyncStatus', { status });
  if (tab.leading_) tab.loaded_?.tellAlive(tab);
}

/** Tells whoever shows what is known. */
export function show(tab: Tab): void {
  tab.loaded_?.warn(tab);
  changed(tab);
}

export function changed(tab: Tab): void {
  tab.snapshot_ = undefined;
  call(tab, tab.subscribers_, snapshotOf(tab));
}

export function snapshotOf(tab: Tab): Snapshot {
  const state = stateIn(tab);
  return (tab.snapshot_ ??= {
    state: state && !tab.forgotten_ ? withPin(tab, state) : null,
    status: tab.status_ ?? null,
    pending: tab.pending_ ?? null,
    pinned: !!pinned(tab),
    expiring: tab.notice_ ?? null,
  });
}

/** No listener can break another, or us. */
export function call<T>(tab: Tab, listeners: Iterable<(value: T) => void>, value: T): void {
  for (const listener of [...listeners]) {
    try {
      listener(value);
    } catch (error) {
      raise(tab, error);
    }
  }
}

export function heard(
  tab: Tab,
  source: Heard['source'],
  kind: string,
  stamp?: string,
  sentAt?: number,
): void {
  const heard: Heard = { at: now(tab), source, kind, stamp, sentAt };
  debug(tab, 'heard', heard);
  call(tab, tab.heard_, heard);
}

/** An outage is told once, however many requests it fails; a refusal is an answer to somebody. */
export function complain(tab: Tab, error: SessionError): void {
  const refused = isSessionRefused(error);
  if (refused || !tab.complained_) raise(tab, error);
  tab.complained_ ||= !refused;
}

/** For an error that nobody is there to catch. */
export function raise({ scope_: scope }: Tab, error: unknown): void {
  if (scope.reportError) return scope.reportError(error);
  scope.dispatchEvent(new scope.ErrorEvent('error', { error, message: String(error) }));
}

export function debug(tab: Tab, ...line: unknown[]): void {
  if (tab.debugging_) console.debug('SessionSync', tab.id_, ...line);
}
