import { Activity } from './activity.js';
import { Api } from './api.js';
import { type Channel, type ExpiringNotice, type Message, openChannel } from './channel.js';
import { coalesce } from './coalesce.js';
import { isSessionUnavailable, type SessionError, SessionExpiredError } from './errors.js';
import { Glance, MESSAGE_DELAY } from './glance.js';
import { lead } from './leader.js';
import { watchLife } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { fillForms, showSession, showStatus, showTimeLeft, visible } from './page.js';
import { after, attempt, every, pause, type Scope, type Stop } from './scope.js';
import { compareStamps, leavesGap } from './stamp.js';
import { claimTabId, handOnTabId, readMarker, tabIdOf, writeMarker } from './storage.js';
import type { StreamKind } from './stream.js';
import { insist, keep, type Outcome } from './transport.js';
import { handleOf, timeLeft, type View, weigh } from './view.js';
import { type Heard, Voice } from './voice.js';
import {
  type HeartbeatAnswer,
  type Id,
  idOf,
  type Refusal,
  type SessionState,
  type SyncStatus,
} from './wire.js';

export interface Exchange extends Outcome {
  /** `null`: nobody is signed in, or nothing is known, or the page shows somebody else. */
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

/** What one tab knows of the session, how it keeps that true, and what it makes of it. */
export class Tab {
  readonly id: string;
  readonly api: Api;
  readonly voice: Voice;
  readonly metrics = new Metrics();
  answeredAt: number | null = null;
  /** The session was ended by the person, who wants no way back to it. */
  signedOut = false;

  readonly #scope: Scope;
  readonly #activity: Activity;
  readonly #glance: Glance;
  readonly #goToLogin: () => void;

  #view: View | undefined;
  /** Whom this page was last filled in for; survives the session's end. */
  #user: string | undefined;
  /** Somebody else has signed in; this page shows what is not theirs, and is being reloaded. */
  #replaced = false;
  /** Rises when the session becomes another or none: what was asked before is then void. */
  #era = 0;
  /** Sessions this tab has left; none of them comes back. */
  readonly #left = new Set<string | undefined>();
  #over = false;

  /** Whether the server wants tabs to keep in touch; what it said last holds when signed out. */
  #enabled = true;
  #running = false;
  #answered = false;
  #channel: Channel | undefined;
  #transport: { handle: string | undefined; stop: Stop } | undefined;
  /** Whether this tab asks the server for itself (polling) or for all (leading). */
  #inCharge = false;
  #leading = false;

  #heardAt = 0;
  #failures = 0;
  #warned: string | undefined;

  constructor(scope: Scope, goToLogin: () => void) {
    this.#scope = scope;
    this.#goToLogin = goToLogin;
    this.id = tabIdOf(scope);
    this.voice = new Voice(scope, this.id);
    this.api = new Api(scope, {
      user: () => idOf(this.#view?.state.user),
      askUser: async () => idOf((await this.ask()).state?.user),
      platform: () => idOf(this.#view?.state.platform),
      refused: () => void this.ask(),
    });
    this.#activity = new Activity(scope, () => this.#heartbeat());
    this.#glance = new Glance(
      scope,
      (marker) => this.#running && !!this.#view && marker !== (this.#view.state.stamp ?? null),
      () => this.ask({ announce: false }),
    );
  }

  get online(): boolean {
    return attempt(() => this.#scope.navigator.onLine) !== false;
  }

  // --- life of the tab ---

  start(): Stop {
    const scope = this.#scope;
    const over = new AbortController();
    this.#wake();
    const unwatch = watchLife(scope, {
      rest: () => {
        handOnTabId(scope, this.id);
        this.#rest();
      },
      resume: () => this.#resume(),
      look: () => this.#look(),
      offline: () => this.#transport && this.#setStatus('offline'),
      online: () => this.#reconnect(),
      marked: () => this.#glance.look(),
      submit: () => this.#view && fillForms(scope, this.#view),
      loaded: () => this.#show(),
      tick: () => this.#view && showTimeLeft(scope, this.#view),
    });
    void insist(scope, () => this.ask(), over.signal);
    return () => {
      over.abort();
      unwatch();
      this.#rest();
    };
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
    void this.ask();
  }

  #look(): void {
    const quiet = this.#scope.Date.now() - this.#heardAt;
    const enough = this.voice.status === 'live' ? this.#heartbeatInterval : SECOND;
    if (this.#running && this.#enabled && visible(this.#scope) && quiet > enough) void this.ask();
  }

  #reconnect(): void {
    if (!this.#transport) return;
    this.#setStatus('reconnecting');
    if (!this.#inCharge) return;
    this.#transport.stop();
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
      every(scope, this.#interval, () => visible(scope) && this.#glance.look()),
      this.#activity.watch(this.#heartbeatInterval),
      canLead ? lead(scope, () => this.#takeCharge(true)) : this.#takeCharge(false),
    ];
    return () => stops.forEach((stop) => stop());
  }

  get #interval(): number {
    return this.#seconds('check_interval', 2);
  }

  get #heartbeatInterval(): number {
    return this.#seconds('heartbeat_interval', 30);
  }

  #takeCharge(leading: boolean): Stop {
    const scope = this.#scope;
    this.#inCharge = true;
    this.#leading = leading;
    this.voice.debug(leading ? 'leads' : 'polls');
    const duty = {
      interval: this.#interval,
      ask: () => this.ask(),
      unseen: () => !leading && !visible(scope),
      last: () => {
        const { state } = this.#view ?? {};
        return state?.stamp && handleOf(state) && `${handleOf(state)}.${state.stamp}`;
      },
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

  /** Resolves once it is known what the tab shows, or that nobody can tell. */
  async known(): Promise<void> {
    if (this.#running && !this.#answered) await this.#flight;
  }

  readonly #exchangeOnce = coalesce(() => (this.#flight = this.#exchange()));

  ask({ announce = true, fresh = false } = {}): Promise<Exchange> {
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
      const at = (this.answeredAt = this.#heardAt = this.#scope.Date.now());
      this.metrics.record(at - began, false);
      this.#failures = 0;
      this.voice.content();
      this.#answered = true;
      if (answer.type === 'refused') {
        if (era === this.#era) this.end(answer.body, announce);
        return { answered: true, state: null };
      }
      if (answer.type === 'unchanged') {
        this.voice.heard('fetch', 'unchanged', this.#view?.state.stamp);
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
      if (written === marker || written === stamp) writeMarker(this.#scope, stamp, this.id);
      else this.#glance.look();
      if (this.voice.status === 'polling') this.#warn();
      const state = this.#replaced ? null : (this.#view?.state ?? null);
      return { answered: true, state };
    } catch (thrown) {
      const error = thrown as SessionError;
      this.metrics.record(0, true);
      // A blip is nobody's business; an outage is told once.
      if (++this.#failures === 3) this.voice.complain(error);
      if (!this.#answered || this.#inCharge) {
        this.#setStatus(this.online ? 'reconnecting' : 'offline', this.#leading);
      }
      const retryAfter = isSessionUnavailable(error) ? error.retryAfter : 0;
      return { answered: false, state: null, error, retryAfter };
    }
  }

  async #readState(fresh: boolean) {
    const { state } = this.#view ?? {};
    const known = state?.stamp && handleOf(state);
    const etag = known && !fresh ? `"${known}.${state.stamp}"` : undefined;
    const answer = await this.api.readState(etag);
    const signedOut =
      answer.type === 'refused' &&
      answer.body.error_code === 'SESSION_ENDED' &&
      answer.body.reason === 'signed_out';
    if (!signedOut || !this.#view) return answer;
    // Signing in anew ends the old session first: the new one's cookie may be on its way.
    await pause(this.#scope, COOKIE_DELAY);
    return this.api.readState(undefined);
  }

  // --- hearing ---

  /** Takes in a state that the server vouches for, if it is not behind what is known. */
  #hear(state: SessionState, { source, kind, at, announce }: News): void {
    const before = this.#view;
    const verdict = weigh(before?.state, state);
    const gap = verdict !== 'other' && leavesGap(before?.state.stamp, state.stamp);
    if (source !== 'channel') this.voice.heard(source, kind, state.stamp);
    if (this.#replaced) return;
    const tell = () => announce && this.#channel?.post({ type: 'state', kind, state }, at);
    const user = idOf(state.user);
    if (verdict === 'other' && this.#user && user && user !== this.#user) {
      this.#replaced = true;
      tell();
      this.#rest();
      return this.#scope.location.reload();
    }
    // Of one stamp, the later telling has the later deadlines.
    if (verdict !== 'older' && !(verdict === 'same' && toldBefore(state, before!.state))) {
      this.#view = { state, at };
    }
    if (gap && this.#inCharge) void this.ask({ announce: this.#leading });
    if (verdict === 'same' || verdict === 'older') return this.#show();
    if (verdict === 'other') {
      this.#era++;
      if (before) this.#left.add(handleOf(before.state));
    }
    this.#user = user;
    this.#enabled = state.sync?.enabled !== false;
    this.#left.delete(handleOf(state));
    this.#over = this.signedOut = false;
    this.#settle();
    tell();
    this.#show();
    this.voice.dispatch('sessionStateChanged', state);
    const { platform } = state;
    if (before && platform && idOf(platform) !== idOf(before.state.platform)) {
      this.voice.dispatch('platformSwitched', {
        platformId: platform.id,
        platformName: platform.name,
        platformType: platform.type,
        stamp: state.stamp,
      });
    }
  }

  #hearStream(kind: StreamKind, data: unknown): void {
    const at = (this.#heardAt = this.#scope.Date.now());
    this.metrics.streamEvents++;
    switch (kind) {
      case 'state':
      case 'platform_switched':
        this.#hear(data as SessionState, { source: 'stream', kind, at, announce: true });
        return writeMarker(this.#scope, this.#view?.state.stamp, this.id);
      case 'sessions_changed': {
        const { stamp } = data as { stamp?: string };
        this.voice.heard('stream', kind, stamp);
        // Names a state ahead of ours without telling it.
        if (!(compareStamps(stamp, this.#view?.state.stamp)! <= 0)) void this.ask();
        return;
      }
      case 'expiring': {
        const { seconds_left, can_extend } = data as Record<string, unknown>;
        this.voice.heard('stream', kind, undefined);
        return this.#expiring(
          { secondsLeft: Number(seconds_left), canExtend: can_extend === true },
          true,
        );
      }
      case 'ended': {
        const body = data as Refusal;
        this.voice.heard('stream', kind, undefined);
        // Signed out, or signed in as somebody else? The server is asked next.
        if (body.reason !== 'signed_out') this.end(body, true);
      }
    }
  }

  #receive(message: Message): void {
    this.#heardAt = this.#scope.Date.now();
    this.metrics.channelMessages++;
    const kind = message.type === 'state' ? message.kind : message.type;
    const stamp = message.type === 'state' ? message.state.stamp : undefined;
    this.voice.heard('channel', kind, stamp, message.at);
    const handle = handleOf(this.#view?.state);
    switch (message.type) {
      case 'state':
        return void this.#receiveState(message);
      case 'ended':
        if (this.#view && message.handle === handle) {
          this.end({ error_code: message.code ?? '', reason: message.reason }, false);
        }
        return;
      case 'expiring':
        if (message.handle === handle) this.#expiring(message.notice, false);
        return;
      case 'hint':
        if (this.#inCharge) {
          after(this.#scope, MESSAGE_DELAY, () => {
            if (idOf(this.#view?.state.platform) === message.platformId) return;
            void this.ask({ announce: this.#leading });
          });
        }
        return;
      case 'status':
        if (!this.#inCharge && this.#view) this.#setStatus(message.status);
        return;
      case 'active':
        if (this.#leading) this.#activity.acted(this.#heartbeatInterval);
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
      void this.ask({ announce: false });
    }
  }

  /** Tells the other tabs at once; what they and this one show is what the server then says. */
  switched(id: Id, name: string): Promise<Exchange> {
    const at = this.#scope.Date.now();
    this.voice.heard('local', 'hint', undefined);
    this.#channel?.post({ type: 'hint', platformId: String(id), platformName: name }, at);
    return this.ask();
  }

  // --- activity ---

  /** One tab tells the server of a person who may be in any of them. */
  #heartbeat(): void {
    const now = this.#scope.Date.now();
    if (!this.#inCharge) return this.#channel?.post({ type: 'active' }, now);
    const era = this.#era;
    this.api.post<HeartbeatAnswer>('/api/session/heartbeat', { active: true }).then(
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
    this.voice.dispatch('sessionExpiring', notice);
  }

  /** Once per session: says so, forgets, and goes to sign in unless the page prevents it. */
  end(body: Refusal, announce: boolean): void {
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
    this.signedOut = reason === 'signed_out';
    if (announce) {
      this.#channel?.post({ type: 'ended', handle, code, reason }, this.#scope.Date.now());
    }
    this.#settle();
    showSession(this.#scope, undefined);
    if (!this.voice.dispatch('sessionExpired', { reason }, true)) return;
    if (!this.signedOut) this.voice.raise(new SessionExpiredError({ ...body, reason }));
    this.#goToLogin();
  }

  // --- telling the page ---

  #show(): void {
    if (this.#view) showSession(this.#scope, this.#view);
    if (this.voice.status) showStatus(this.#scope, this.voice.status);
  }

  #setStatus(status: SyncStatus, announce = false): void {
    if (!this.voice.setStatus(status) || !announce) return;
    this.#channel?.post({ type: 'status', status }, this.#scope.Date.now());
  }
}

function toldBefore(a: SessionState, b: SessionState): boolean {
  const time = ({ sync, timestamp }: SessionState) => Date.parse(sync?.server_time ?? timestamp ?? '');
  return time(a) < time(b);
}
