// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  isSessionError,
  isSessionExpired,
  isSessionNetwork,
  isSessionRefused,
  isSessionUnavailable,
  SessionError,
  SessionSync,
} from '../src/index.js';
import { advance, Browser, signedIn } from './world.js';

describe('subscribe', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  test('is a Svelte store: calls at once and after each change, until it is stopped', async () => {
    const { server, session, tabs } = await signedIn(1);
    const { subscribe } = tabs[0]!.sync;
    const seen: unknown[] = [];
    const stop = subscribe(({ state }) => seen.push(state?.platform?.id));
    expect(seen).toEqual([1]);
    server.switchTo(session, 2);
    await advance(50);
    expect(new Set(seen)).toEqual(new Set([1, 2]));
    const { length } = seen;
    stop();
    stop();
    server.switchTo(session, 3);
    await advance(50);
    expect(seen).toHaveLength(length);
  });

  test('with getSnapshot is what useSyncExternalStore wants: the same object until a change', async () => {
    const { server, session, tabs } = await signedIn(1);
    const { getSnapshot, subscribe } = tabs[0]!.sync;
    const changes = vi.fn();
    subscribe(changes);
    const before = getSnapshot();
    expect(getSnapshot()).toBe(before);
    await advance(20_000);
    expect(getSnapshot()).toBe(before);
    server.switchTo(session, 2);
    await advance(50);
    const after = getSnapshot();
    expect(after).not.toBe(before);
    expect(after.state?.platform?.id).toBe(2);
    expect(changes).toHaveBeenLastCalledWith(after);
    expect(getSnapshot()).toBe(after);
  });

  test('one function twice is two subscriptions', async () => {
    const { server, session, tabs } = await signedIn(1);
    const listener = vi.fn();
    const stop = tabs[0]!.sync.subscribe(listener);
    tabs[0]!.sync.subscribe(listener);
    stop();
    listener.mockClear();
    server.switchTo(session, 2);
    await advance(50);
    expect(listener).toHaveBeenCalled();
  });

  test('tells of the status, and of the end', async () => {
    const { server, session, tabs } = await signedIn(1);
    const seen: unknown[] = [];
    tabs[0]!.sync.subscribe(({ status, state }) => seen.push([status, state?.user?.id]));
    server.end(session, 'SESSION_ENDED', 'revoked_by_admin');
    await advance(100);
    expect(seen.at(-1)).toEqual(['live', undefined]);
  });

  test('no listener can break another, nor us', async () => {
    const { server, session, tabs } = await signedIn(2);
    const { sync, scope, errors } = tabs[0]!;
    const heard = vi.fn();
    const broken = () => {
      throw new Error('mine');
    };
    sync.subscribe(broken);
    sync.onMessage(broken);
    sync.subscribe(heard);
    heard.mockClear();
    server.switchTo(session, 2);
    await advance(50);
    expect(heard).toHaveBeenCalled();
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2]);
    expect(new Set(errors.map(({ message }) => message))).toEqual(new Set(['mine']));
    expect(scope).toBeDefined();
  });

  test('lesson 30: a listener that asks, switches and stops inside a call blocks nobody', async () => {
    const { server, session, tabs } = await signedIn(2);
    const { sync } = tabs[0]!;
    let done = 0;
    const stop = sync.subscribe(async ({ state }) => {
      if (state?.platform?.id !== 2 || done++) return;
      await sync.syncSessionState();
      await sync.switchPlatform(4);
      stop();
    });
    server.switchTo(session, 2);
    await advance(1000);
    expect(tabs.map((tab) => tab.platform)).toEqual([4, 4]);
  });
});

describe('destroy', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  test('leaves nothing: no timer, listener, lock, channel, stream or global', async () => {
    const browser = new Browser();
    const { server } = browser;
    const session = server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    const listeners: unknown[] = [];
    for (const target of [tab.scope, tab.document] as any[]) {
      const { addEventListener: add, removeEventListener: remove } = target;
      target.addEventListener = (type: string, listener: unknown, options: unknown) => {
        listeners.push(type, listener);
        add.call(target, type, listener, options);
      };
      target.removeEventListener = (type: string, listener: unknown, options: unknown) => {
        const at = listeners.findIndex((one, i) => one === type && listeners[i + 1] === listener);
        if (at >= 0) listeners.splice(at, 2);
        remove.call(target, type, listener, options);
      };
    }
    tab.sync.init();
    await advance(1000);
    expect(tab.status).toBe('live');
    expect(listeners.length).toBeGreaterThan(20);
    const subscriber = vi.fn();
    tab.sync.subscribe(subscriber);
    subscriber.mockClear();
    tab.sync.destroy();
    tab.sync.destroy();
    server.switchTo(session, 2);
    tab.act();
    tab.show('visible');
    for (const type of ['online', 'offline', 'pageshow', 'focus']) tab.scope.dispatchEvent(new Event(type));
    await advance(100);
    expect(vi.getTimerCount()).toBe(0);
    expect([browser.channels.size, server.streams.size, browser.leader]).toEqual([0, 0, undefined]);
    expect((tab.scope as any).sessionSync).toBeUndefined();
    expect(listeners).toEqual([]);
    expect(subscriber).not.toHaveBeenCalled();
    expect(tab.platform).toBe(1);
  });

  test('and init() starts anew, as a component does that is mounted twice', async () => {
    const { server, session, tabs } = await signedIn(2);
    const [tab] = tabs;
    tab!.sync.init();
    tab!.sync.destroy();
    tab!.sync.init();
    await advance(2000);
    server.switchTo(session, 2);
    await advance(50);
    expect(tabs.map((tab) => [tab.platform, tab.status])).toEqual([[2, 'live'], [2, 'live']]);
    expect(server.streams.size).toBe(1);
    server.stop();
    tab!.sync.destroy();
    tab!.sync.init();
    await advance(5000);
    server.down = false;
    await advance(2000);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live']);
  });

  test('during an outage, or before the first answer, too', async () => {
    const { server, tabs } = await signedIn(1);
    server.stop();
    await advance(300);
    tabs[0]!.sync.destroy();
    await advance(50);
    expect(vi.getTimerCount()).toBe(0);
    const before = server.requests.length;
    await advance(60_000);
    expect(server.requests.length).toBe(before);
  });
});

describe('without a window', () => {
  test('import, construction, init and stop are harmless', async () => {
    const requests = vi.spyOn(globalThis, 'fetch').mockRejectedValue(new TypeError('relative URL'));
    const sync = new SessionSync();
    const { subscribe, getSnapshot } = sync;
    const stop = sync.init();
    expect(getSnapshot()).toEqual({ state: null, status: null, pending: null, pinned: false, expiring: null });
    subscribe(() => {})();
    expect(sync.isOnline).toBe(true);
    stop();
    sync.destroy();
    expect('sessionSync' in globalThis).toBe(false);
    expect(requests).not.toHaveBeenCalled();
  });
});

describe('errors', () => {
  const kinds = [
    [new SessionError('Expired', 'x'), isSessionExpired],
    [new SessionError('Network', 'x'), isSessionNetwork],
    [new SessionError('Unavailable', 'x'), isSessionUnavailable],
    [new SessionError('Refused', 'x', { error_code: 'PLATFORM_NOT_FOUND' }), isSessionRefused],
  ] as const;

  test.for(kinds.map(([error, guard]) => [error.name, error, guard] as const))(
    '%s is known by its guard alone, and by context',
    ([, error, guard]) => {
      expect(isSessionError(error)).toBe(true);
      expect(error.context).toBe('session');
      for (const [, other] of kinds) expect(other(error)).toBe(other === guard);
      for (const other of [new Error('x'), undefined, 'SessionExpiredError']) expect(guard(other)).toBe(false);
    },
  );
});
