import { post, validate } from './api.js';
import { ask, exchange } from './ask.js';
import { watchButtons } from './buttons.js';
import { end } from './end.js';
import { isSessionExpired, type SessionError } from './errors.js';
import { fetchAs } from './fetch.js';
import { leave } from './leave.js';
import { start } from './life.js';
import { showSession } from './page.js';
import { type Scope, type Stop, stopAll } from './scope.js';
import { clearStorage, takeReturnPath } from './storage.js';
import { online, Tab, tell } from './tab.js';
import { complain, type Heard, heard } from './voice.js';
import type { Id, PerformanceMetrics, RefreshAnswer, SessionState, SwitchAnswer } from './wire.js';

/** One tab's share in a session that is the same in all of them: what a page may call. */
export class SessionSync {
  isInitialized = false;
  readonly tabId: string;
  readonly #scope: Scope;
  readonly #tab: Tab;
  #stop: Stop | undefined;

  constructor(scope: Scope = globalThis as Scope) {
    this.#scope = scope;
    this.#tab = new Tab(scope, () => this.handleSessionExpired(), exchange);
    this.tabId = this.#tab.id_;
  }

  /** Starts, and returns the stop. A second call changes nothing. */
  init(): Stop {
    this.isInitialized = true;
    Object.assign(this.#scope, { sessionSync: this });
    return (this.#stop ??= stopAll([
      watchButtons(this.#scope, this, (error) => complain(this.#tab, error)),
      start(this.#tab),
    ]));
  }

  getTabId(): string {
    return this.tabId;
  }

  /** Logs what is heard and done, in bundles, with `console.debug`. */
  get debugMode(): boolean {
    return this.#tab.debugging_;
  }
  set debugMode(on: boolean) {
    this.#tab.debugging_ = on;
  }

  get isOnline(): boolean {
    return online(this.#tab);
  }

  /** When the server last answered, in ms since the epoch. */
  get lastSyncTime(): number | null {
    return this.#tab.answeredAt_;
  }

  getPerformanceMetrics(): PerformanceMetrics {
    const { syncs_: syncCount, errors_: errorCount } = this.#tab;
    return {
      syncCount,
      errorCount,
      errorRate: syncCount && errorCount / syncCount,
      avgSyncTime: this.#tab.time_ / (syncCount - errorCount || 1),
      streamEvents: this.#tab.streamEvents_,
      channelMessages: this.#tab.channelMessages_,
    };
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
      return await validate(this.#tab);
    } catch (error) {
      if (!isSessionExpired(error)) complain(this.#tab, error as SessionError);
      return false;
    }
  }

  /** Makes a platform the session's, in every tab. Rejects with a `SessionError`. */
  async switchPlatform(id: Id): Promise<SwitchAnswer> {
    const path = `/api/switch_platform/${encodeURIComponent(id)}`;
    const answer = await post<SwitchAnswer>(this.#tab, path);
    await switched(this.#tab, answer.platform.id, answer.platform.name);
    return answer;
  }

  /** For a page that made the switch itself. The other tabs believe the server, not this. */
  notifyPlatformSwitch(id: Id, name: string): void {
    void switched(this.#tab, id, name);
  }

  /** Slides the session's life time. Rejects with a `SessionError`. */
  async refresh(): Promise<RefreshAnswer> {
    const answer = await post<RefreshAnswer>(this.#tab, '/api/session/refresh');
    await ask(this.#tab, true, true);
    return answer;
  }

  /**
   * Signs out, in every tab. With the server out of reach it rejects, because the session lives
   * on; what this page knows of the person is forgotten all the same.
   */
  async signOut(): Promise<void> {
    const error: unknown = await post(this.#tab, '/logout').then(
      () => undefined,
      (reason) => reason,
    );
    if (error && !isSessionExpired(error)) {
      clearStorage(this.#scope);
      showSession(this.#scope, undefined);
      throw error;
    }
    end(this.#tab, { error_code: 'SESSION_ENDED', reason: 'signed_out' }, true);
  }

  /** `fetch` for the application's requests: done as the platform that this tab shows. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    return fetchAs(this.#tab, input, init);
  }

  /** Forgets what this origin keeps of the session and goes to sign in. */
  handleSessionExpired(): void {
    leave(this.#scope, !this.#tab.signedOut_);
  }

  /** Where the person was when the session expired, once; for the page after signing in. */
  takeReturnPath(): string | null {
    return takeReturnPath(this.#scope);
  }

  /** Reports all that is heard. Returns its stop. */
  onMessage(listener: (heard: Heard) => void): Stop {
    const { listeners_: listeners } = this.#tab;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }
}

/** Tells the other tabs at once; what they and this one show is what the server then says. */
function switched(tab: Tab, id: Id, name: string): Promise<unknown> {
  heard(tab, 'local', 'hint');
  tell(tab, { type: 'hint', platformId: String(id), platformName: name });
  return ask(tab);
}
