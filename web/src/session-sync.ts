import { ask, exchange } from './ask.js';
import { coalesce } from './coalesce.js';
import { core } from './core.js';
import { forget } from './end.js';
import type { SessionError } from './errors.js';
import { leave } from './leave.js';
import { start } from './life.js';
import { metricsOf, type PerformanceMetrics } from './metrics.js';
import { attendPage } from './on-demand.js';
import { act, live, part } from './parts.js';
import { restorePin, setPin, shownPlatform } from './pin.js';
import { type Scope, type Stop, stopAll } from './scope.js';
import { takeReturnPath } from './storage.js';
import { announceSwitch, choose, makeSwitch } from './switching.js';
import { blank, now, online, type Tab } from './tab.js';
import { timeLeft } from './view.js';
import { call, complain, type Heard, raise, type Snapshot, snapshotOf } from './voice.js';
import { type Id, idOf, type RefreshAnswer, type SessionState, type SwitchAnswer } from './wire.js';

export interface Options {
  /** Ask whether to stay signed in, before the session ends. Default: true. */
  prompt?: boolean;
  /** Ask to sign in again in the page, instead of leaving it. Default: false. */
  signIn?: boolean;
}

/** One tab's share in a session that is the same in all of them: what a page may call. */
export class SessionSync {
  isInitialized = false;
  readonly tabId: string;
  readonly #tab: Tab;
  #stop: Stop | undefined;

  constructor(scope: Scope = globalThis as Scope, options: Options = {}) {
    const dialog = (name: 'askToStay' | 'askToSignIn') =>
      import('./session-dialogs.js').then((dialogs) => dialogs[name](this));
    const tab: Tab = {
      ...blank(scope),
      leave_: (error) => {
        const unwanted = tab.over_ !== 'signed_out';
        const leave = () => {
          // The specification's listener leaves the page when it hears of this.
          if (unwanted) raise(tab, error);
          this.handleSessionExpired();
        };
        if (options.signIn && unwanted) dialog('askToSignIn').catch(leave);
        else leave();
      },
      prompt_: () => {
        if (options.prompt !== false) dialog('askToStay').catch(() => {});
      },
      exchange_: coalesce(() => (tab.flight_ = exchange(tab))),
      core_: core,
      act_: part(act),
      live_: part(live),
      switch_: coalesce(() => makeSwitch(tab)),
    };
    this.#tab = tab;
    this.tabId = tab.id_;
    restorePin(tab);
  }

  /** Starts, and returns the stop. A second call changes nothing. */
  init(): Stop {
    this.isInitialized = true;
    // On a server there is nothing to keep in step.
    if (!this.#tab.scope_.document) return () => {};
    Object.assign(this.#tab.scope_, { sessionSync: this });
    return (this.#stop ??= stopAll([attendPage(this.#tab, this), start(this.#tab)]));
  }

  /**
   * Stops, and leaves nothing behind: no listener, no timer, no connection, no global. `init`
   * starts anew.
   */
  destroy(): void {
    const scope = this.#tab.scope_ as Scope & { sessionSync?: unknown };
    this.#stop?.();
    this.#stop = undefined;
    this.#tab.subscribers_.clear();
    this.#tab.heard_.clear();
    if (scope.sessionSync === this) delete scope.sessionSync;
  }

  getTabId(): string {
    return this.tabId;
  }

  /** Logs what is heard and done with `console.debug`. */
  get debugMode(): boolean {
    return !!this.#tab.debugging_;
  }
  set debugMode(on: boolean) {
    this.#tab.debugging_ = on;
  }

  get isOnline(): boolean {
    return online(this.#tab);
  }

  /** When the server last answered, in ms since the epoch. */
  get lastSyncTime(): number | null {
    return this.#tab.answeredAt_ ?? null;
  }

  getPerformanceMetrics(): PerformanceMetrics {
    return metricsOf(this.#tab);
  }

  /** Asks the server. Never rejects: `null` is "signed out" or "no answer". */
  async syncSessionState(): Promise<SessionState | null> {
    const { state, error } = await ask(this.#tab);
    if (error) complain(this.#tab, error);
    return state;
  }

  /** Whether the server calls the session valid now. Never rejects. */
  async validateSession(): Promise<boolean> {
    try {
      return (await this.#tab.act_()).validate(this.#tab);
    } catch (error) {
      complain(this.#tab, error as SessionError);
      return false;
    }
  }

  /**
   * Makes a platform the session's, in every tab. This one shows it at once; by its name, if that
   * is given. Rejects with a `SessionError`, and then shows what it showed before.
   */
  switchPlatform(id: Id, name?: string): Promise<SwitchAnswer> {
    return choose(this.#tab, { id, ...(name && { name }) });
  }

  /** For a page that made the switch itself. The other tabs believe the server, not this. */
  notifyPlatformSwitch(id: Id, name: string): void {
    void announceSwitch(this.#tab, id, name);
  }

  /**
   * This tab stays with a platform, also when it is loaded anew, while others follow the session.
   * Rejects with a `SessionError`.
   */
  async pinPlatform(id: Id): Promise<void> {
    return (await this.#tab.act_()).pin(this.#tab, id);
  }

  /** This tab follows the session again. */
  unpinPlatform(): void {
    setPin(this.#tab);
  }

  /** Milliseconds until the session ends if nothing is done, by the server's clock. */
  timeLeft(): number | null {
    const tab = this.#tab;
    return (tab.view_ && timeLeft(tab.view_, now(tab))) ?? null;
  }

  /** Slides the session's life time. Rejects with a `SessionError`. */
  async refresh(): Promise<RefreshAnswer> {
    return (await this.#tab.act_()).refresh(this.#tab);
  }

  /** Stays signed in: `refresh`, as an answer to `sessionExpiring`. */
  extend(): Promise<RefreshAnswer> {
    return this.refresh();
  }

  /**
   * Signs out, in every tab. With the server out of reach it rejects, because the session lives
   * on; what this page knows of the person is forgotten all the same.
   */
  async signOut(): Promise<void> {
    try {
      await this.#tab.act_();
    } catch (error) {
      forget(this.#tab);
      throw error;
    }
    return (await this.#tab.act_()).signOut(this.#tab);
  }

  /** `fetch` for the application's requests: done as the platform that this tab shows. */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const shown = idOf(shownPlatform(this.#tab));
    return (await this.#tab.act_()).fetchAs(this.#tab, shown, input, init);
  }

  /** Forgets what this origin keeps of the session and goes to sign in. */
  handleSessionExpired(): void {
    leave(this.#tab.scope_, this.#tab.over_ !== 'signed_out');
  }

  /** Where the person was when the session expired, once; for the page after signing in. */
  takeReturnPath(): string | null {
    return takeReturnPath(this.#tab.scope_);
  }

  /** Reports all that is heard. Returns its stop. */
  onMessage(listener: (heard: Heard) => void): Stop {
    this.#tab.heard_.add(listener);
    return () => this.#tab.heard_.delete(listener);
  }

  /**
   * Calls with the snapshot, at once and after each change, as a Svelte store does; with
   * `getSnapshot` it is what `useSyncExternalStore` wants. Both may be passed on without `this`.
   */
  readonly subscribe = (listener: (snapshot: Snapshot) => void): Stop => {
    // The same function twice is two subscriptions.
    const subscriber = (snapshot: Snapshot) => listener(snapshot);
    this.#tab.subscribers_.add(subscriber);
    call(this.#tab, [subscriber], snapshotOf(this.#tab));
    return () => this.#tab.subscribers_.delete(subscriber);
  };

  readonly getSnapshot = (): Snapshot => snapshotOf(this.#tab);
}
