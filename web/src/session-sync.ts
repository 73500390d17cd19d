import { watchActivity } from './activity.js';
import { Api } from './api.js';
import { type Channel, type ExpiringNotice, type Message, openChannel } from './channel.js';
import { coalesce, debounce } from './coalesce.js';
import { isSessionUnavailable, type SessionError, SessionExpiredError } from './errors.js';
import { lead } from './leader.js';
import { leave } from './leave.js';
import { Metrics, type PerformanceMetrics } from './metrics.js';
import { fillForms, showSession, showStatus, showTimeLeft, visible } from './page.js';
import { after, attempt, every, listen, pause, type Scope, type Stop } from './scope.js';
import { compareStamps, leavesGap } from './stamp.js';
import {
  claimTabId,
  clearStorage,
  handOnTabId,
  MARKER,
  readMarker,
  tabIdOf,
  takeReturnPath,
  writeMarker,
} from './storage.js';
import type { StreamKind } from './stream.js';
import { insist, keep, type Outcome } from './transport.js';
import { handleOf, timeLeft, type View, weigh } from './view.js';
import {
  type HeartbeatAnswer,
  type Id,
  idOf,
  type Refusal,
  type RefreshAnswer,
  type SessionState,
  type SwitchAnswer,
  type SyncStatus,
} from './wire.js';

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

interface Exchange extends Outcome {
  state: SessionState | null;
  error?: SessionError;
}

/** How news came, beside what it says. */
interface News {
  source: Heard['source'];
  kind: string;
  at: number;
  /** Whether the other tabs are to be told. */
  announce: boolean;
}

const SECOND = 1000;
/** Longer than a cookie takes to arrive after the event that announced it. */
const COOKIE_DELAY = 300;
/** Longer than a message takes from tab to tab. */
const MESSAGE_DELAY = 250;

/** One tab's share in a session that is the same in all of them. */
export class SessionSync {
  /** Logs what is heard and done, with `console.debug`. */
  debugMode = false;
  isInitialized = false;
  /** When the server last answered, in ms since the epoch. */
  lastSyncTime: number | null = null;
  readonly tabId: string;

  readonly #scope: Scope;
  readonly #api: Api;
  readonly #metrics = new Metrics();
  readonly #listeners = new Set<(heard: Heard) => void>();

  #view: View | undefined;
  /** Whom this page was last filled in for; survives the session's end. */
  #user: string | undefined;
  /** Rises when the session becomes another or none: what was asked before is then void. */
  #era = 0;
  /** Sessions this tab has left; none of them comes back. */
  readonly #left = new Set<string | undefined>();
  #over = false;
  #signedOut = false;

  /** Whether the server wants tabs to keep in touch; what it said last holds when signed out. */
  #enabled = true;
  #running = false;
  #answered = false;
  #stop: Stop | undefined;
  #channel: Channel | undefined;
  #transport: { handle: string | undefined; stop: Stop } | undefined;
  /** Whether this tab asks the server for itself (polling) or for all (leading). */
  #inCharge = false;
  #leading = false;

  #status: SyncStatus | undefined;
  #heardAt = 0;
  #failures = 0;
  #reported = false;
  #glanced: string | null | undefined;
  #warned: string | undefined;
  #acted = false;
  #beatAt = 0;

  constructor(scope: Scope = globalThis as Scope) {
    this.#scope = scope;
    this.tabId = tabIdOf(scope);
    this.#api = new Api(scope, {
      user: () => idOf(this.#view?.state.user),
      askUser: async () => idOf((await this.#ask()).state?.user),
      platform: () => idOf(this.#view?.state.platform),
      refused: () => void this.#ask(),
    });
  }

  // --- what a page may call ---

  /** Starts, and returns the stop. A second call changes nothing. */
  init(): Stop {
    return (this.#stop ??= this.#start());
  }

  getTabId(): string {
    return this.tabId;
  }

  get isOnline(): boolean {
    return attempt(() => this.#scope.navigator.onLine) !== false;
  }

  getPerformanceMetrics(): PerformanceMetrics {
    return this.#metrics.read();
  }

  /** Asks the server. Never rejects: `null` is "signed out" or "no answer". */
  async syncSessionState(): Promise<SessionState | null> {
    const { state, error } = await this.#ask();
    if (error) this.#report(error);
    return state;
  }

  /** Whether the server calls the session valid now. Never rejects. */
  async validateSession(): Promise<boolean> {
    try {
      return (await this.#api.post<{ valid?: boolean }>('/api/session/validate')).valid === true;
    } catch (error) {
      if (!(error instanceof SessionExpiredError)) this.#report(error as SessionError);
      return false;
    }
  }

  /** Makes a platform the session's, in every tab. Rejects with a `SessionError`. */
  async switchPlatform(id: Id): Promise<SwitchAnswer> {
    const path = `/api/switch_platform/${encodeURIComponent(id)}`;
    const answer = await this.#api.post<SwitchAnswer>(path);
    await this.#switched(answer.platform.id, answer.platform.name);
    return answer;
  }

  /** For a page that made the switch itself. The other tabs believe the server, not this. */
  notifyPlatformSwitch(id: Id, name: string): void {
    void this.#switched(id, name);
  }

  /** Slides the session's life time. Rejects with a `SessionError`. */
  async refresh(): Promise<RefreshAnswer> {
    const answer = await this.#api.post<RefreshAnswer>('/api/session/refresh');
    await this.#ask({ fresh: true });
    return answer;
  }

  /**
   * Signs out, in every tab. With the server out of reach it rejects, because the session lives
   * on; what this page knows of the person is forgotten all the same.
   */
  async signOut(): Promise<void> {
    const error: unknown = await this.#api.post('/logout').then(
      () => undefined,
      (reason) => reason,
    );
    if (error && !(error instanceof SessionExpiredError)) {
      clearStorage(this.#scope);
      showSession(this.#scope, undefined);
      throw error;
    }
    this.#end({ error_code: 'SESSION_ENDED', reason: 'signed_out' }, true);
  }

  /** `fetch` for the application's requests: done as the platform that this tab shows. */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    // Until the first answer it is not known what the tab shows.
    if (this.isInitialized && !this.#answered) await this.#flight;
    return this.#api.fetch(input, init);
  }

  /** Forgets what this origin keeps of the session and goes to sign in. */
  handleSessionExpired(): void {
    leave(this.#scope, !this.#signedOut);
  }

  /** Where the person was when the session expired, once; for the page after signing in. */
  takeReturnPath(): string | null {
    return takeReturnPath(this.#scope);
  }

  /** Reports all that is heard. Returns its stop. */
  onMessage(listener: (heard: Heard) => void): Stop {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // --- life of the tab ---

  #start(): Stop {
    const scope = this.#scope;
    const over = new AbortController();
    Object.assign(scope, { sessionSync: this });
    this.isInitialized = true;
    this.#wake();
    const stops = [
      listen(scope, ['pagehide'], () => {
        handOnTabId(scope, this.tabId);
        this.#rest();
      }),
      listen(scope, ['pageshow'], (event) => {
        if ((event as PageTransitionEvent).persisted) this.#resume();
      }),
      // A tab that is about to be frozen must not keep the lead.
      listen(scope.document, ['freeze'], () => this.#rest()),
      listen(scope.document, ['resume'], () => this.#resume()),
      listen(scope, ['focus'], () => this.#look()),
      listen(scope.document, ['visibilitychange'], () => this.#look()),
      listen(scope, ['offline'], () => this.#setStatus('offline')),
      listen(scope, ['online'], () => this.#reconnect()),
      listen(scope, ['storage'], (event) => {
        if ((event as StorageEvent).key === MARKER) this.#glance();
      }),
      listen(scope.document, ['submit'], () => this.#view && fillForms(scope, this.#view)),
      listen(scope.document, ['DOMContentLoaded'], () => this.#show()),
      every(scope, SECOND, () => this.#view && visible(scope) && showTimeLeft(scope, this.#view)),
      () => over.abort(),
      () => this.#rest(),
    ];
    void insist(scope, () => this.#ask(), over.signal);
    return () => stops.forEach((stop) => stop());
  }

  #wake(): void {
    claimTabId(this.#scope);
    this.#running = true;
    this.#settle();
  }

  #rest(): void {
    this.#running = false;
    this.#settle();
  }

  #resume(): void {
    if (this.#running) return;
    this.#wake();
    void this.#ask();
  }

  /** Focus and visibility come in pairs, and most of them with nothing new to learn. */
  #look(): void {
    const quiet = this.#scope.Date.now() - this.#heardAt;
    const enough = this.#status === 'live' ? this.#seconds('heartbeat_interval', 30) : SECOND;
    if (this.#running && this.#enabled && visible(this.#scope) && quiet > enough) void this.#ask();
  }

  #reconnect(): void {
    this.#setStatus('reconnecting');
    if (!this.#inCharge) return;
    this.#transport?.stop();
    this.#transport = undefined;
    this.#settle();
  }

  #seconds(name: 'check_interval' | 'heartbeat_interval' | 'warning_threshold', otherwise: number) {
    return (this.#view?.state.sync?.[`${name}_seconds`] || otherwise) * SECOND;
  }

  /** Brings channel and transport in line with what is known. */
  #settle(): void {
    const { state } = this.#view ?? {};
    const syncing = this.#running && this.#answered && this.#enabled;
    if (syncing) {
      this.#channel ??= openChannel(this.#scope, (message) => this.#receive(message));
    } else {
      this.#channel?.close();
      this.#channel = undefined;
    }
    const wanted = syncing && state;
    const handle = handleOf(state);
    if (this.#transport ? wanted && this.#transport.handle === handle : !wanted) return;
    this.#transport?.stop();
    this.#transport = wanted ? { handle, stop: this.#connect() } : undefined;
  }

  #connect(): Stop {
    const scope = this.#scope;
    const canLead = this.#channel && scope.EventSource && attempt(() => scope.navigator.locks);
    if (canLead) this.#setStatus('live');
    const stops = [
      every(scope, this.#seconds('heartbeat_interval', 30), () => this.#heartbeat()),
      every(scope, this.#interval, () => visible(scope) && this.#glance()),
      watchActivity(scope, () => {
        this.#acted = true;
      }),
      canLead ? lead(scope, () => this.#takeCharge(true)) : this.#takeCharge(false),
    ];
    return () => stops.forEach((stop) => stop());
  }

  get #interval(): number {
    return this.#seconds('check_interval', 2);
  }

  #takeCharge(leading: boolean): Stop {
    const scope = this.#scope;
    this.#inCharge = true;
    this.#leading = leading;
    this.#debug(leading ? 'leads' : 'polls');
    const duty = {
      interval: this.#interval,
      ask: () => this.#ask(),
      unseen: () => !leading && !visible(scope),
      stamp: () => this.#view?.state.stamp,
      hear: (kind: StreamKind, data: unknown) => this.#hearStream(kind, data),
      status: (status: SyncStatus) => this.#setStatus(status, leading),
    };
    const stop = keep(scope, duty, leading);
    return () => {
      this.#inCharge = this.#leading = false;
      stop();
    };
  }

  // --- asking the server ---

  #announce = false;
  #fresh = false;
  #flight: Promise<Exchange> | undefined;
  readonly #exchangeOnce = coalesce(() => (this.#flight = this.#exchange()));

  #ask({ announce = true, fresh = false } = {}): Promise<Exchange> {
    this.#announce ||= announce;
    this.#fresh ||= fresh;
    return this.#exchangeOnce();
  }

  async #exchange(): Promise<Exchange> {
    const announce = this.#announce;
    const fresh = this.#fresh;
    this.#announce = this.#fresh = false;
    const era = this.#era;
    const began = (this.#heardAt = this.#scope.Date.now());
    const marker = readMarker(this.#scope);
    try {
      const answer = await this.#readState(fresh);
      const at = (this.lastSyncTime = this.#heardAt = this.#scope.Date.now());
      this.#metrics.record(at - began, false);
      this.#failures = 0;
      this.#reported = false;
      this.#answered = true;
      if (answer.type === 'refused') {
        if (era === this.#era) this.#end(answer.body, announce);
        return { answered: true, state: null };
      }
      if (answer.type === 'unchanged') {
        this.#tell('fetch', 'unchanged', this.#view?.state.stamp);
      } else {
        const { state } = answer;
        const other = handleOf(state) !== handleOf(this.#view?.state);
        if (!other || era === this.#era) {
          this.#hear(state, { source: 'fetch', kind: 'state', at, announce });
        }
      }
      const stamp = this.#view?.state.stamp;
      const written = readMarker(this.#scope);
      // What another tab wrote while this answer was on its way may be news.
      if (written === marker || written === stamp) writeMarker(this.#scope, stamp, this.tabId);
      else this.#glance();
      if (this.#status === 'polling') this.#warn();
      return { answered: true, state: this.#view?.state ?? null };
    } catch (thrown) {
      const error = thrown as SessionError;
      this.#metrics.record(0, true);
      // A blip is nobody's business; an outage is told once.
      if (++this.#failures === 3) this.#report(error);
      if (!this.#answered || this.#inCharge) {
        this.#setStatus(this.isOnline ? 'reconnecting' : 'offline', this.#leading);
      }
      const retryAfter = isSessionUnavailable(error) ? error.retryAfter : 0;
      return { answered: false, state: null, error, retryAfter };
    }
  }

  async #readState(fresh: boolean) {
    const { state } = this.#view ?? {};
    const known = state?.stamp && handleOf(state);
    const etag = known && !fresh ? `"${known}.${state.stamp}"` : undefined;
    const answer = await this.#api.readState(etag);
    const signedOut =
      answer.type === 'refused' &&
      answer.body.error_code === 'SESSION_ENDED' &&
      answer.body.reason === 'signed_out';
    if (!signedOut || !this.#view) return answer;
    // Signing in anew ends the old session first: the new one's cookie may be on its way.
    await pause(this.#scope, COOKIE_DELAY);
    return this.#api.readState(undefined);
  }

  // --- hearing ---

  /** Takes in a state that the server vouches for, if it is not behind what is known. */
  #hear(state: SessionState, { source, kind, at, announce }: News): void {
    const scope = this.#scope;
    const before = this.#view;
    const verdict = weigh(before?.state, state);
    const gap = verdict !== 'other' && leavesGap(before?.state.stamp, state.stamp);
    if (source !== 'channel') this.#tell(source, kind, state.stamp);
    if (verdict !== 'older' && !(verdict === 'same' && earlier(state, before!.state))) {
      this.#view = { state, at };
    }
    if (verdict === 'same' || verdict === 'older') {
      this.#show();
      if (gap && this.#inCharge) void this.#ask({ announce: this.#leading });
      return;
    }
    const tell = () => announce && this.#channel?.post({ type: 'state', kind, state }, at);
    const user = idOf(state.user);
    if (verdict === 'other') {
      this.#era++;
      if (before) this.#left.add(handleOf(before.state));
      if (this.#user && user && user !== this.#user) {
        tell();
        this.#rest();
        // What this page shows is another person's.
        return scope.location.reload();
      }
    }
    this.#user = user;
    this.#enabled = state.sync?.enabled !== false;
    this.#left.delete(handleOf(state));
    this.#over = this.#signedOut = false;
    this.#settle();
    tell();
    this.#show();
    this.#dispatch('sessionStateChanged', state);
    const { platform } = state;
    if (before && platform && idOf(platform) !== idOf(before.state.platform)) {
      this.#dispatch('platformSwitched', {
        platformId: platform.id,
        platformName: platform.name,
        platformType: platform.type,
        stamp: state.stamp,
      });
    }
    if (gap && this.#inCharge) void this.#ask({ announce: this.#leading });
  }

  #hearStream(kind: StreamKind, data: unknown): void {
    const at = (this.#heardAt = this.#scope.Date.now());
    this.#metrics.streamEvents++;
    switch (kind) {
      case 'state':
      case 'platform_switched':
        this.#hear(data as SessionState, { source: 'stream', kind, at, announce: true });
        return writeMarker(this.#scope, this.#view?.state.stamp, this.tabId);
      case 'sessions_changed': {
        const { stamp } = data as { stamp?: string };
        this.#tell('stream', kind, stamp);
        // Names a state ahead of ours without telling it.
        if (!(compareStamps(stamp, this.#view?.state.stamp)! <= 0)) void this.#ask();
        return;
      }
      case 'expiring': {
        const { seconds_left, can_extend } = data as Record<string, unknown>;
        this.#tell('stream', kind, undefined);
        return this.#expiring(
          { secondsLeft: Number(seconds_left), canExtend: can_extend === true },
          true,
        );
      }
      case 'ended': {
        const body = data as Refusal;
        this.#tell('stream', kind, undefined);
        // Signed out, or signed in as somebody else? The server is asked next.
        if (body.reason !== 'signed_out') this.#end(body, true);
      }
    }
  }

  #receive(message: Message): void {
    this.#heardAt = this.#scope.Date.now();
    this.#metrics.channelMessages++;
    const kind = message.type === 'state' ? message.kind : message.type;
    const stamp = message.type === 'state' ? message.state.stamp : undefined;
    this.#tell('channel', kind, stamp, message.at);
    const handle = handleOf(this.#view?.state);
    switch (message.type) {
      case 'state':
        return void this.#receiveState(message);
      case 'ended':
        if (this.#view && message.handle === handle) {
          this.#end({ error_code: message.code ?? '', reason: message.reason }, false);
        }
        return;
      case 'expiring':
        if (message.handle === handle) this.#expiring(message.notice, false);
        return;
      case 'hint':
        if (this.#inCharge) {
          after(this.#scope, MESSAGE_DELAY, () => {
            if (idOf(this.#view?.state.platform) === message.platformId) return;
            void this.#ask({ announce: this.#leading });
          });
        }
        return;
      case 'status':
        if (!this.#inCharge && this.#view) this.#setStatus(message.status);
        return;
      case 'active':
        if (!this.#leading) return;
        this.#acted = true;
        this.#heartbeat();
    }
  }

  async #receiveState(message: Message & { type: 'state' }): Promise<void> {
    const { state, kind, at } = message;
    // The answer to a question already asked may settle whose state this is.
    if (weigh(this.#view?.state, state) === 'other') await this.#flight;
    const handle = handleOf(state);
    if (this.#view && handleOf(this.#view.state) === handle) {
      this.#hear(state, { source: 'channel', kind, at, announce: false });
    } else if (this.#running && !this.#left.has(handle)) {
      // Another session: whose cookie the browser holds now, only the server can say.
      void this.#ask({ announce: false });
    }
  }

  #switched(id: Id, name: string): Promise<Exchange> {
    const at = this.#scope.Date.now();
    this.#tell('local', 'hint', undefined);
    this.#channel?.post({ type: 'hint', platformId: String(id), platformName: name }, at);
    return this.#ask();
  }

  /**
   * The marker in storage says how far any tab has come. Whoever is behind it for longer than a
   * message takes has missed one, and asks once.
   */
  #glance(): void {
    const marker = readMarker(this.#scope);
    const behind = () => this.#view && marker !== (this.#view.state.stamp ?? null);
    if (!behind() || marker === this.#glanced) return;
    after(this.#scope, MESSAGE_DELAY, async () => {
      if (!this.#running || !behind() || marker !== readMarker(this.#scope)) return;
      const { answered } = await this.#ask({ announce: false });
      if (answered) this.#glanced = marker;
    });
  }

  // --- activity ---

  /** Only what a person did is told, by one tab, at most once in an interval. */
  #heartbeat(): void {
    const now = this.#scope.Date.now();
    if (!this.#acted || now - this.#beatAt < this.#seconds('heartbeat_interval', 30) * 0.9) return;
    this.#acted = false;
    this.#beatAt = now;
    if (!this.#inCharge) return this.#channel?.post({ type: 'active' }, now);
    const era = this.#era;
    this.#api.post<HeartbeatAnswer>('/api/session/heartbeat', { active: true }).then(
      ({ server_time, expires_at, idle_expires_at }) => {
        const { state } = this.#view ?? {};
        if (!state?.session || era !== this.#era) return;
        const at = this.#scope.Date.now();
        const session = { ...state.session, expires_at, idle_expires_at };
        const extended = { ...state, session, sync: { ...state.sync, server_time } };
        this.#view = { state: extended, at };
        this.#show();
        this.#channel?.post({ type: 'state', kind: 'heartbeat', state: extended }, at);
      },
      () => {}, // The next one will tell as well.
    );
  }

  // --- the end ---

  /** Polling, there is nobody who warns. */
  #warn(): void {
    const left = this.#view && timeLeft(this.#view, this.#scope.Date.now());
    if (left === undefined || left > this.#seconds('warning_threshold', 300)) return;
    const { expires_at, idle_expires_at } = this.#view?.state.session ?? {};
    const ends = `${expires_at} ${idle_expires_at}`;
    if (this.#warned === ends) return;
    this.#warned = ends;
    this.#expiring({ secondsLeft: Math.round(left / SECOND), canExtend: true }, this.#leading);
  }

  #expiring(notice: ExpiringNotice, announce: boolean): void {
    if (announce) {
      const handle = handleOf(this.#view?.state);
      this.#channel?.post({ type: 'expiring', handle, notice }, this.#scope.Date.now());
    }
    this.#dispatch('sessionExpiring', notice);
  }

  /** Once per session: says so, forgets, and goes to sign in unless the page prevents it. */
  #end(body: Refusal, announce: boolean): void {
    const handle = handleOf(this.#view?.state);
    const known = this.#view !== undefined;
    const was = this.#over;
    this.#over = true;
    // Nobody was signed in: no end.
    if (was || (!known && body.error_code === 'SESSION_REQUIRED')) return this.#settle();
    const code = body.error_code;
    const gone = code === 'SESSION_REQUIRED';
    const reason = (gone ? 'signed_out' : body.reason) ?? 'unknown';
    this.#era++;
    this.#left.add(handle);
    this.#view = undefined;
    this.#signedOut = reason === 'signed_out';
    if (announce) {
      this.#channel?.post({ type: 'ended', handle, code, reason }, this.#scope.Date.now());
    }
    this.#settle();
    showSession(this.#scope, undefined);
    if (!this.#dispatch('sessionExpired', { reason }, true)) return;
    if (!this.#signedOut) this.#raise(new SessionExpiredError({ ...body, reason }));
    this.handleSessionExpired();
  }

  // --- telling the page ---

  #show(): void {
    if (this.#view) showSession(this.#scope, this.#view);
    if (this.#status) showStatus(this.#scope, this.#status);
  }

  #setStatus(status: SyncStatus, announce = false): void {
    if (status === this.#status) return;
    this.#status = status;
    if (announce) this.#channel?.post({ type: 'status', status }, this.#scope.Date.now());
    showStatus(this.#scope, status);
    this.#dispatch('sessionSyncStatus', { status });
  }

  /** Returns false if a listener prevented what comes next. */
  #dispatch(type: string, detail: unknown, cancelable = false): boolean {
    this.#debug(type, detail);
    return this.#scope.dispatchEvent(new this.#scope.CustomEvent(type, { detail, cancelable }));
  }

  /** An outage is told once, however many requests it fails. */
  #report(error: SessionError): void {
    if (!this.#reported) this.#raise(error);
    this.#reported = true;
  }

  #raise(error: unknown): void {
    const scope = this.#scope;
    if (scope.reportError) return scope.reportError(error);
    scope.dispatchEvent(new scope.ErrorEvent('error', { error, message: String(error) }));
  }

  #tell(source: Heard['source'], kind: string, stamp: string | undefined, sentAt?: number): void {
    const at = this.#scope.Date.now();
    const heard: Heard = { at, source, kind, stamp, ...(sentAt !== undefined && { sentAt }) };
    this.#debug('heard', heard);
    for (const listener of this.#listeners) {
      try {
        listener(heard);
      } catch (error) {
        this.#raise(error);
      }
    }
  }

  #lines: unknown[][] = [];
  readonly #flush = debounce(() => {
    console.debug(`SessionSync ${this.tabId}`, ...this.#lines.splice(0));
  }, 100);

  #debug(...line: unknown[]): void {
    if (!this.debugMode) return;
    this.#lines.push(line);
    this.#flush();
  }
}

function earlier(a: SessionState, b: SessionState): boolean {
  const time = ({ sync, timestamp }: SessionState) => Date.parse(sync?.server_time ?? timestamp ?? '');
  return time(a) < time(b);
}
