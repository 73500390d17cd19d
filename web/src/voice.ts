import { debounce } from './coalesce.js';
import type { SessionError } from './errors.js';
import { showStatus } from './page.js';
import type { Scope, Stop } from './scope.js';
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

/** All that the client says to the page it runs in. */
export class Voice {
  debugging = false;
  status: SyncStatus | undefined;

  readonly #scope: Scope;
  readonly #name: string;
  readonly #listeners = new Set<(heard: Heard) => void>();
  readonly #lines: unknown[][] = [];
  #complained = false;

  constructor(scope: Scope, name: string) {
    this.#scope = scope;
    this.#name = name;
  }

  /** Returns false if a listener prevented what comes next. */
  dispatch(type: string, detail: unknown, cancelable = false): boolean {
    this.debug(type, detail);
    return this.#scope.dispatchEvent(new this.#scope.CustomEvent(type, { detail, cancelable }));
  }

  /** Returns whether this is news. */
  setStatus(status: SyncStatus): boolean {
    if (status === this.status) return false;
    this.status = status;
    showStatus(this.#scope, status);
    this.dispatch('sessionSyncStatus', { status });
    return true;
  }

  onMessage(listener: (heard: Heard) => void): Stop {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  heard(source: Heard['source'], kind: string, stamp: string | undefined, sentAt?: number): void {
    const at = this.#scope.Date.now();
    const heard: Heard = { at, source, kind, stamp, ...(sentAt !== undefined && { sentAt }) };
    this.debug('heard', heard);
    for (const listener of this.#listeners) {
      try {
        listener(heard);
      } catch (error) {
        this.raise(error);
      }
    }
  }

  /** An outage is told once, however many requests it fails. */
  complain(error: SessionError): void {
    if (!this.#complained) this.raise(error);
    this.#complained = true;
  }

  /** The server has answered again. */
  content(): void {
    this.#complained = false;
  }

  /** For an error that nobody is there to catch. */
  raise(error: unknown): void {
    const scope = this.#scope;
    if (scope.reportError) return scope.reportError(error);
    scope.dispatchEvent(new scope.ErrorEvent('error', { error, message: String(error) }));
  }

  debug(...line: unknown[]): void {
    if (!this.debugging) return;
    this.#lines.push(line);
    this.#flush();
  }

  readonly #flush = debounce(() => {
    console.debug(`SessionSync ${this.#name}`, ...this.#lines.splice(0));
  }, 100);
}
