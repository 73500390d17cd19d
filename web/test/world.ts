/**
 * A browser with several tabs and the server behind them, in one process and on fake timers.
 * What can go wrong between tabs (a message lost, doubled or late, a tab that crashes) and
 * between browser and server (down, slow, answering late) is decided by the test.
 */
import './parts.js';
import { vi } from 'vitest';
import { type Scope, SessionSync } from '../src/index.js';

export interface Session {
  handle: string;
  user: { id: number; username: string };
  platform: { id: number; name: string; type: string } | null;
  epoch: number;
  version: number;
  rev: number;
  endedBecause?: [code: string, reason: string];
}

interface Answer {
  status: number;
  body?: object;
  headers?: Record<string, string>;
}

export interface Request {
  tab: Tab;
  method: string;
  path: string;
  headers: Headers;
  body: string | undefined;
}

export const stampOf = ({ epoch, version, rev }: Session) => `${epoch}.${version}.${rev}`;
const time = (ms: number) => new Date(ms).toISOString();

export class Server {
  readonly sessions = new Map<string, Session>();
  readonly requests: Request[] = [];
  readonly streams = new Set<FakeEventSource>();
  /** Streams opened so far, with the query they were opened with. */
  readonly opened: string[] = [];
  down: false | 'network' | 503 | 'html' = false;
  streamsWork = true;
  /** A proxy opens streams and lets nothing through. */
  buffering = false;
  latency = 5;
  token = 'token-1';
  /** The platforms of whoever asks. */
  platforms = [1, 2, 3, 4, 5];
  /** Why no switch is allowed. */
  refused: object | undefined;
  sync: Record<string, unknown> = {
    enabled: true,
    check_interval_seconds: 2,
    heartbeat_interval_seconds: 30,
    warning_threshold_seconds: 300,
  };
  lifetime = 3_600_000;
  idle = 1_800_000;
  started = Date.now();
  /** Answers that take precedence, by path. */
  readonly overrides = new Map<string, (request: Request) => Answer | undefined>();

  signIn(handle: string, id: number, username: string, platform = 1): Session {
    const session: Session = {
      handle,
      user: { id, username },
      platform: platformOf(platform),
      epoch: 1,
      version: 1,
      rev: 1,
    };
    this.sessions.set(handle, session);
    return session;
  }

  stateOf(session: Session): object {
    return {
      success: true,
      user: { ...session.user, email: `${session.user.username}@example.test` },
      platform: session.platform && { ...session.platform },
      session: {
        session_id: session.handle,
        created_at: time(this.started),
        last_activity: time(this.started),
        expires_at: time(this.started + this.lifetime),
        idle_expires_at: time(this.started + this.idle),
        version: session.version,
      },
      session_type: 'integrated',
      sync: { ...this.sync, server_time: time(Date.now()) },
      stamp: stampOf(session),
      timestamp: time(Date.now()),
    };
  }

  /** Changes the session and tells the streams, as another device's request would. */
  switchTo(session: Session, id: number): void {
    session.platform = platformOf(id);
    session.version++;
    this.emit(session, 'platform_switched', this.stateOf(session));
  }

  emit(session: Session, kind: string, data: object, silent = false): void {
    const id = kind === 'expiring' || kind === 'ended' ? '' : stampOf(session);
    for (const stream of this.streams) {
      if (stream.session === session && !silent) stream.deliver(kind, data, id);
    }
  }

  end(session: Session, code: string, reason: string, more: object = {}): void {
    session.endedBecause = [code, reason];
    const data = { session_id: session.handle, error_code: code, reason, ...more };
    this.emit(session, 'ended', data);
    for (const stream of [...this.streams]) if (stream.session === session) stream.fail();
  }

  /** Goes away, streams and all. */
  stop(how: 'network' | 503 = 'network'): void {
    this.down = how;
    for (const stream of [...this.streams]) stream.fail();
  }

  async answer(request: Request, cookie: string | undefined): Promise<Answer> {
    this.requests.push(request);
    if (this.down === 'network') throw new TypeError('Failed to fetch');
    if (this.down === 503) return { status: 503, body: { error_code: 'UNAVAILABLE' } };
    if (this.down === 'html') return { status: 200 };
    const override = this.overrides.get(request.path)?.(request);
    if (override) return override;
    if (request.path === '/api/csrf') return { status: 200, body: { csrf_token: this.token } };
    const session = this.sessions.get(cookie ?? '');
    if (!session) {
      return { status: 401, body: { error_code: 'SESSION_REQUIRED', reason: 'no_cookie' } };
    }
    if (session.endedBecause) {
      const [error_code, reason] = session.endedBecause;
      return { status: 401, body: { success: false, error_code, reason } };
    }
    return this.serve(request, session);
  }

  private serve(request: Request, session: Session): Answer {
    const { method, path, headers } = request;
    if (path === '/api/session_state') {
      const etag = `"${session.handle}.${stampOf(session)}"`;
      if (headers.get('If-None-Match') === etag) return { status: 304 };
      return { status: 200, body: this.stateOf(session), headers: { ETag: etag } };
    }
    if (path === '/api/session/validate') return { status: 200, body: { success: true, valid: true } };
    if (method !== 'GET' && headers.get('X-CSRFToken') !== this.token) {
      return { status: 403, body: { error_code: 'CSRF_STALE' } };
    }
    if (path.startsWith('/api/switch_platform/')) {
      const id = Number(path.split('/').at(-1));
      if (this.refused) return { status: 403, body: this.refused };
      if (id > 9) return { status: 404, body: { error: 'No such platform', error_code: 'PLATFORM_NOT_FOUND' } };
      this.switchTo(session, id);
      const { type: platform_type, ...platform } = session.platform!;
      return { status: 200, body: { success: true, message: 'ok', platform: { ...platform, platform_type } } };
    }
    if (path === '/api/user_platforms') {
      const platforms = this.platforms.map(platformOf).map(({ type, ...rest }) => ({
        ...rest,
        platform_type: type,
        instance_url: 'https://x.test',
      }));
      return { status: 200, body: { success: true, platforms } };
    }
    if (path === '/api/session/heartbeat') {
      this.idle = Date.now() - this.started + 1_800_000;
      const { expires_at, idle_expires_at } = (this.stateOf(session) as any).session;
      return { status: 200, body: { success: true, active: true, server_time: time(Date.now()), expires_at, idle_expires_at } };
    }
    if (path === '/api/session/refresh') {
      this.lifetime += 60_000;
      return { status: 200, body: { success: true, expires_at: time(this.started + this.lifetime) } };
    }
    if (path === '/logout') {
      this.end(session, 'SESSION_ENDED', 'signed_out');
      request.tab.browser.cookie = undefined;
      return { status: 200, body: { success: true } };
    }
    return { status: 200, body: { success: true } };
  }

  count(path: string, tab?: Tab): number {
    return this.requests.filter((r) => r.path === path && (!tab || r.tab === tab)).length;
  }
}

export function platformOf(id: number) {
  return { id, name: `Platform ${id}`, type: id % 2 ? 'pixelfed' : 'mastodon' };
}

class FakeEventSource extends EventTarget {
  readyState = 0;
  session: Session | undefined;
  private beat: any;
  constructor(
    readonly tab: Tab,
    url: string,
  ) {
    super();
    const { server } = tab.browser;
    server.opened.push(url);
    tab.sources.add(this);
    setTimeout(() => {
      if (this.readyState !== 0) return;
      const session = server.sessions.get(tab.browser.cookie ?? '');
      if (server.down || !server.streamsWork || !session || session.endedBecause) return this.fail();
      this.readyState = 1;
      this.session = session;
      server.streams.add(this);
      this.dispatchEvent(new Event('open'));
      if (server.buffering) return;
      const beat = () => this.deliver('heartbeat', {}, '');
      beat();
      this.beat = setInterval(beat, 15_000);
      const last = new URL(url, 'http://app.test').searchParams.get('last_event_id');
      if (last !== `${session.handle}.${stampOf(session)}`) this.deliver('state', server.stateOf(session), stampOf(session));
    }, server.latency);
  }

  deliver(kind: string, data: object, id: string): void {
    const text = JSON.stringify(data);
    if (this.tab.browser.server.buffering) return;
    this.tab.later(1, () => {
      if (this.readyState !== 1) return;
      this.dispatchEvent(Object.assign(new Event(kind), { data: text, lastEventId: id }));
    });
  }

  fail(): void {
    this.tab.later(2, () => {
      if (this.readyState === 2) return;
      this.close();
      this.dispatchEvent(new Event('error'));
    });
  }

  close(): void {
    this.readyState = 2;
    clearInterval(this.beat);
    this.tab.browser.server.streams.delete(this);
    this.tab.sources.delete(this);
  }
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(readonly tab: Tab) {
    tab.browser.channels.add(this);
  }
  postMessage(data: unknown): void {
    const { browser } = this.tab;
    browser.messages.push({ from: this.tab, data: data as any });
    for (const other of browser.channels) {
      if (other === this) continue;
      const copy = structuredClone(data);
      for (const delay of browser.carry(copy)) {
        other.tab.later(delay, () => browser.channels.has(other) && other.onmessage?.({ data: copy }));
      }
    }
  }
  close(): void {
    this.tab.browser.channels.delete(this);
  }
}

class FakeStorage {
  [key: string]: unknown;
}

/** A Storage whose keys are its own enumerable properties, as a browser's are. */
function storageOf(data: Map<string, string>, changed: (key: string, value: string | null) => void) {
  const store = new FakeStorage();
  const method = (name: string, value: unknown) =>
    Object.defineProperty(store, name, { value, configurable: true });
  method('getItem', (key: string) => data.get(key) ?? null);
  method('setItem', (key: string, value: string) => {
    data.set(key, value);
    changed(key, value);
  });
  method('removeItem', (key: string) => {
    if (data.delete(key)) changed(key, null);
  });
  return new Proxy(store, {
    ownKeys: () => [...data.keys()],
    getOwnPropertyDescriptor: (_, key) =>
      data.has(String(key)) ? { value: data.get(String(key)), enumerable: true, configurable: true } : undefined,
  });
}

export class Browser {
  readonly server = new Server();
  readonly tabs: Tab[] = [];
  readonly channels = new Set<FakeChannel>();
  readonly messages: { from: Tab; data: any }[] = [];
  readonly storage = new Map<string, string>();
  cookie: string | undefined;
  /** The delays after which a message arrives, once for each; none: it is lost. */
  carry: (message: unknown) => number[] = () => [1];
  storageEvents = true;
  private readonly queue: { tab: Tab; grant: () => void }[] = [];
  private holder: { tab: Tab; broken: () => void } | undefined;

  open(missing: string[] = [], path = '/home'): Tab {
    const tab = new Tab(this, missing, path);
    this.tabs.push(tab);
    return tab;
  }

  get leader(): Tab | undefined {
    return this.holder?.tab;
  }

  /** The lock is the browser's: a tab that is stopped keeps it, and may be given it. */
  request(tab: Tab, { signal, steal }: LockOptions, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        tab,
        grant: () => {
          const lock = { tab, broken: () => tab.run(() => reject(new DOMException('stolen', 'AbortError'))) };
          this.holder = lock;
          tab.release = () => {
            if (this.holder !== lock) return;
            this.holder = undefined;
            this.next();
          };
          tab.run(() =>
            work().then(() => {
              if (this.holder === lock) tab.release?.();
              resolve();
            }),
          );
        },
      };
      if (steal) {
        const robbed = this.holder;
        this.holder = undefined;
        robbed?.broken();
        return entry.grant();
      }
      signal?.addEventListener('abort', () => {
        const at = this.queue.indexOf(entry);
        if (at < 0) return;
        this.queue.splice(at, 1);
        reject(new DOMException('aborted', 'AbortError'));
      });
      this.queue.push(entry);
      this.next();
    });
  }

  drop(tab: Tab): void {
    for (let i = this.queue.length; i--; ) if (this.queue[i]!.tab === tab) this.queue.splice(i, 1);
    tab.release?.();
  }

  private next(): void {
    if (this.holder) return;
    setTimeout(() => {
      if (this.holder) return;
      this.queue.shift()?.grant();
    }, 1);
  }

  stored(tab: Tab, key: string, newValue: string | null): void {
    for (const other of this.tabs) {
      if (other === tab || !other.alive || !this.storageEvents) continue;
      other.later(1, () => {
        other.scope.dispatchEvent(Object.assign(new Event('storage'), { key, newValue }));
      });
    }
  }
}

export class Tab {
  readonly scope: Scope;
  readonly sync: SessionSync;
  readonly events: { type: string; detail: any }[] = [];
  readonly errors: any[] = [];
  readonly sources = new Set<FakeEventSource>();
  private readonly timers: any[] = [];
  readonly document = new EventTarget() as any;
  readonly session = new Map<string, string>();
  readonly redirects: string[] = [];
  reloads = 0;
  alive = true;
  /** Added to the tab's clock. */
  skew = 0;
  /** How long the machine has slept: the clock went on, what counts time did not. */
  slept = 0;
  /** As in a debugger: nothing runs, nothing is told, and what arrives waits. */
  stopped = false;
  private readonly waiting: (() => void)[] = [];
  release: (() => void) | undefined;
  token = '';

  constructor(
    readonly browser: Browser,
    missing: string[],
    path: string,
  ) {
    const tab = this;
    const target = new EventTarget();
    Object.assign(this.document, {
      visibilityState: 'visible',
      querySelectorAll: () => [],
      querySelector: (selector: string) =>
        selector.includes('csrf-token')
          ? { getAttribute: () => tab.token, setAttribute: (_: string, value: string) => (tab.token = value) }
          : null,
    });
    const everything = {
      document: this.document,
      navigator: {
        onLine: true,
        locks: {
          request: (_: string, options: LockOptions, work: () => Promise<void>) =>
            browser.request(tab, options, work),
        },
      },
      location: {
        origin: 'http://app.test',
        pathname: path,
        search: '?page=2',
        get href() {
          return `http://app.test${path}`;
        },
        set href(url: string) {
          tab.redirects.push(url);
        },
        reload: () => void tab.reloads++,
      },
      localStorage: storageOf(browser.storage, (key, value) => browser.stored(tab, key, value)),
      sessionStorage: storageOf(this.session, () => {}),
      BroadcastChannel: function () {
        return new FakeChannel(tab);
      },
      EventSource: function (url: string) {
        return new FakeEventSource(tab, url);
      },
      CustomEvent,
      Date: { now: () => Date.now() + tab.skew },
      fetch: (path: string, init: RequestInit) => tab.fetch(path, init),
      reportError: (error: unknown) => tab.errors.push(error),
      performance: { now: () => Date.now() - tab.slept },
      setTimeout: (work: () => void, ms: number) => tab.timer(setTimeout(() => tab.run(work), ms)),
      clearTimeout: (timer: any) => clearTimeout(timer),
      setInterval: (work: () => void, ms: number) =>
        tab.timer(setInterval(() => tab.stopped || work(), ms)),
      clearInterval: (timer: any) => clearInterval(timer),
      addEventListener: target.addEventListener.bind(target),
      removeEventListener: target.removeEventListener.bind(target),
      dispatchEvent: (event: Event) => target.dispatchEvent(event),
    };
    for (const name of missing) {
      if (name === 'locks') delete (everything.navigator as any).locks;
      else delete (everything as any)[name];
    }
    this.scope = everything as unknown as Scope;
    for (const type of [
      'sessionStateChanged',
      'platformSwitched',
      'sessionExpired',
      'sessionExpiring',
      'sessionSyncStatus',
    ]) {
      target.addEventListener(type, (event) => {
        this.events.push({ type, detail: (event as CustomEvent).detail });
      });
    }
    this.token = browser.server.token;
    this.sync = new SessionSync(this.scope);
  }

  private fetch(path: string, init: RequestInit = {}): Promise<unknown> {
    const { server } = this.browser;
    const request: Request = {
      tab: this,
      method: init.method ?? 'GET',
      path,
      headers: new Headers(init.headers),
      body: init.body as string | undefined,
    };
    // The server decides when the request reaches it, the browser hears later.
    const answered = server.answer(request, this.browser.cookie);
    answered.catch(() => {});
    return new Promise((resolve, reject) => {
      this.later(server.latency, () => {
        answered.then((answer) => resolve(responseOf(answer)), reject);
      });
    });
  }

  of(type: string): any[] {
    return this.events.filter((event) => event.type === type).map((event) => event.detail);
  }

  get platform(): number | undefined {
    return this.of('sessionStateChanged').at(-1)?.platform?.id;
  }

  get stamp(): string | undefined {
    return this.of('sessionStateChanged').at(-1)?.stamp;
  }

  get status(): string | undefined {
    return this.of('sessionSyncStatus').at(-1)?.status;
  }

  act(): void {
    const event = new Event('keydown');
    Object.defineProperty(event, 'isTrusted', { value: true });
    this.document.dispatchEvent(event);
  }

  show(state: 'visible' | 'hidden'): void {
    this.document.visibilityState = state;
    this.document.dispatchEvent(new Event('visibilitychange'));
    if (state === 'visible') this.scope.dispatchEvent(new Event('focus'));
  }

  later(ms: number, work: () => void): void {
    setTimeout(() => this.run(work), ms);
  }

  run(work: () => void): void {
    if (this.stopped) this.waiting.push(work);
    else if (this.alive) work();
  }

  goOn(): void {
    this.stopped = false;
    for (const work of this.waiting.splice(0)) this.run(work);
  }

  private timer<T>(timer: T): T {
    if (!this.alive) clearTimeout(timer as any);
    this.timers.push(timer);
    return timer;
  }

  /** Gone without a word. */
  crash(): void {
    this.alive = false;
    this.timers.forEach((timer) => clearTimeout(timer));
    for (const source of [...this.sources]) source.close();
    for (const channel of [...this.browser.channels]) {
      if ((channel as any).tab === this) channel.close();
    }
    this.browser.drop(this);
  }

  navigateAway(): void {
    this.scope.dispatchEvent(new Event('pagehide'));
    this.crash();
  }
}

function responseOf({ status, body, headers }: Answer): unknown {
  const response = {
    status,
    ok: status >= 200 && status < 300,
    headers: new Headers(headers),
    json: () => (body ? Promise.resolve(structuredClone(body)) : Promise.reject(new SyntaxError('<'))),
    clone: () => response,
  };
  return response;
}

const immediate = globalThis.setImmediate;
const settled = () => new Promise<void>((resolve) => immediate(resolve));

/** Lets `ms` pass, and every promise settle between two timers; far faster than vitest's own. */
export async function advance(ms: number): Promise<void> {
  let over = false;
  setTimeout(() => (over = true), ms);
  for (await settled(); !over; await settled()) vi.advanceTimersToNextTimer();
}

/** A browser signed in as Ada, with that many tabs started one after the other. */
export async function signedIn(tabs: number, missing: string[] = []) {
  const browser = new Browser();
  const { server } = browser;
  const session = server.signIn('ada-1', 7, 'ada');
  browser.cookie = session.handle;
  for (let i = 0; i < tabs; i++) {
    browser.open(missing).sync.init();
    await advance(50);
  }
  await advance(100);
  return { browser, server, session, tabs: browser.tabs };
}
