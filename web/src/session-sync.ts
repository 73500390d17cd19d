import { watchButtons } from './buttons.js';
import { isSessionExpired, type SessionError } from './errors.js';
import { leave } from './leave.js';
import type { PerformanceMetrics } from './metrics.js';
import { showSession } from './page.js';
import type { Scope, Stop } from './scope.js';
import { clearStorage, takeReturnPath } from './storage.js';
import { Tab } from './tab.js';
import type { Heard } from './voice.js';
import type { Id, RefreshAnswer, SessionState, SwitchAnswer } from './wire.js';

/** One tab's share in a session that is the same in all of them: what a page may call. */
export class SessionSync {
  isInitialized = false;
  readonly tabId: string;
  readonly #scope: Scope;
  readonly #tab: Tab;
  #stop: Stop | undefined;

  constructor(scope: Scope = globalThis as Scope) {
    this.#scope = scope;
    this.#tab = new Tab(scope, () => this.handleSessionExpired());
    this.tabId = this.#tab.id;
  }

  /** Starts, and returns the stop. A second call changes nothing. */
  init(): Stop {
    this.isInitialized = true;
    Object.assign(this.#scope, { sessionSync: this });
    return (this.#stop ??= this.#start());
  }

  #start(): Stop {
    const unwatch = watchButtons(this.#scope, this, (error) => this.#tab.voice.complain(error));
    const stop = this.#tab.start();
    return () => {
      unwatch();
      stop();
    };
  }

  getTabId(): string {
    return this.tabId;
  }

  /** Logs what is heard and done, in bundles, with `console.debug`. */
  get debugMode(): boolean {
    return this.#tab.voice.debugging;
  }
  set debugMode(on: boolean) {
    this.#tab.voice.debugging = on;
  }

  get isOnline(): boolean {
    return this.#tab.online;
  }

  /** When the server last answered, in ms since the epoch. */
  get lastSyncTime(): number | null {
    return this.#tab.answeredAt;
  }

  getPerformanceMetrics(): PerformanceMetrics {
    return this.#tab.metrics.read();
  }

  /** Asks the server. Never rejects: `null` is "signed out" or "no answer". */
  async syncSessionState(): Promise<SessionState | null> {
    const { state, error } = await this.#tab.ask();
    if (error) this.#tab.voice.complain(error);
    return state;
  }

  /** Whether the server calls the session valid now. Never rejects. */
  async validateSession(): Promise<boolean> {
    try {
      return await this.#tab.api.validate();
    } catch (error) {
      if (!isSessionExpired(error)) this.#tab.voice.complain(error as SessionError);
      return false;
    }
  }

  /** Makes a platform the session's, in every tab. Rejects with a `SessionError`. */
  async switchPlatform(id: Id): Promise<SwitchAnswer> {
    const path = `/api/switch_platform/${encodeURIComponent(id)}`;
    const answer = await this.#tab.api.post<SwitchAnswer>(path);
    await this.#tab.switched(answer.platform.id, answer.platform.name);
    return answer;
  }

  /** For a page that made the switch itself. The other tabs believe the server, not this. */
  notifyPlatformSwitch(id: Id, name: string): void {
    void this.#tab.switched(id, name);
  }

  /** Slides the session's life time. Rejects with a `SessionError`. */
  async refresh(): Promise<RefreshAnswer> {
    const answer = await this.#tab.api.post<RefreshAnswer>('/api/session/refresh');
    await this.#tab.ask({ fresh: true });
    return answer;
  }

  /**
   * Signs out, in every tab. With the server out of reach it rejects, because the session lives
   * on; what this page knows of the person is forgotten all the same.
   */
  async signOut(): Promise<void> {
    const error: unknown = await this.#tab.api.post('/logout').then(
      () => undefined,
      (reason) => reason,
    );
    if (error && !isSessionExpired(error)) {
      clearStorage(this.#scope);
      showSession(this.#scope, undefined);
      throw error;
    }
    this.#tab.end({ error_code: 'SESSION_ENDED', reason: 'signed_out' }, true);
  }

  /** `fetch` for the application's requests: done as the platform that this tab shows. */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    await this.#tab.known();
    return this.#tab.api.fetch(input, init);
  }

  /** Forgets what this origin keeps of the session and goes to sign in. */
  handleSessionExpired(): void {
    leave(this.#scope, !this.#tab.signedOut);
  }

  /** Where the person was when the session expired, once; for the page after signing in. */
  takeReturnPath(): string | null {
    return takeReturnPath(this.#scope);
  }

  /** Reports all that is heard. Returns its stop. */
  onMessage(listener: (heard: Heard) => void): Stop {
    return this.#tab.voice.onMessage(listener);
  }
}
