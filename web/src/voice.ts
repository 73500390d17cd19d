import type { SessionError } from './errors.js';
import { showSession, showStatus } from './page.js';
import { attempt } from './scope.js';
import { now, type Tab, tell } from './tab.js';
import type { SyncStatus } from './wire.js';

/** What a tab heard, when and from where; for a page that shows how the tabs keep together. */
export interface Heard {
  /** In ms since the epoch, as `sentAt`. */
  at: number;
  source: 'stream' | 'channel' | 'fetch' | 'local';
  kind: string;
  stamp: string | undefined;
  /** When the tab that passed it on had heard it. */
  sentAt?: number;
}

/** Returns false if a listener prevented what comes next. */
export function dispatch(tab: Tab, type: string, detail: unknown, cancelable = false): boolean {
  debug(tab, type, detail);
  return tab.scope_.dispatchEvent(new tab.scope_.CustomEvent(type, { detail, cancelable }));
}

export function setStatus(tab: Tab, status: SyncStatus, announce = false): void {
  if (status === tab.status_) return;
  tab.status_ = status;
  showStatus(tab.scope_, status);
  dispatch(tab, 'sessionSyncStatus', { status });
  if (announce) tell(tab, { type: 'status', status });
}

export function show(tab: Tab): void {
  if (tab.view_) showSession(tab.scope_, tab.view_);
  if (tab.status_) showStatus(tab.scope_, tab.status_);
}

export function heard(
  tab: Tab,
  source: Heard['source'],
  kind: string,
  stamp?: string,
  sentAt?: number,
): void {
  const heard: Heard = { at: now(tab), source, kind, stamp, ...(sentAt && { sentAt }) };
  debug(tab, 'heard', heard);
  for (const listener of tab.listeners_) {
    try {
      listener(heard);
    } catch (error) {
      raise(tab, error);
    }
  }
}

/** An outage is told once, however many requests it fails. */
export function complain(tab: Tab, error: SessionError): void {
  if (!tab.complained_) raise(tab, error);
  tab.complained_ = true;
}

/** For an error that nobody is there to catch. */
export function raise({ scope_: scope }: Tab, error: unknown): void {
  if (scope.reportError) return scope.reportError(error);
  scope.dispatchEvent(new scope.ErrorEvent('error', { error, message: String(error) }));
}

/** Collects lines, and logs them in bundles. */
export function debug(tab: Tab, ...line: unknown[]): void {
  if (!tab.debugging_ || tab.lines_.push(line) > 1) return;
  tab.scope_.setTimeout(() => {
    attempt(() => console.debug(`SessionSync ${tab.id_}`, ...tab.lines_.splice(0)));
  }, 100);
}
