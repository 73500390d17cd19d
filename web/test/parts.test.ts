// The parts of the script that are loaded later, and what happens when they cannot be.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isSessionNetwork } from '../src/index.js';
import { advance, Browser, signedIn } from './world.js';

const asked = vi.hoisted(() => ({ act: [] as string[], live: [] as string[], broken: false }));
vi.mock('../src/parts.js', async (actual) => {
  const real = await actual<typeof import('../src/parts.js')>();
  const load = (name: 'act' | 'live') => (again: string) => {
    asked[name].push(again);
    return asked.broken ? Promise.reject(new TypeError('Failed to fetch')) : real[name](again);
  };
  return { ...real, act: load('act'), live: load('live') };
});

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(asked, { act: [], live: [], broken: false });
});
afterEach(() => void vi.useRealTimers());

const caught = (promise: Promise<unknown>) => promise.catch((error) => error);

describe('what keeps in touch', () => {
  test('is loaded with the first session, and what acts soon after; neither where nobody is signed in', async () => {
    const browser = new Browser();
    const out = browser.open();
    out.sync.init();
    await advance(1000);
    expect(asked).toMatchObject({ act: [], live: [] });
    await signedIn(1);
    expect(asked).toMatchObject({ act: [''], live: [''] });
  });

  test('cannot be loaded: reconnecting, nobody is signed out, and another address is tried until it can', async () => {
    asked.broken = true;
    const { tabs, server, session } = await signedIn(1);
    const [tab] = tabs;
    expect(tab!.platform).toBe(1);
    expect(tab!.status).toBe('reconnecting');
    await advance(3000);
    expect(asked.live.length).toBeGreaterThan(2);
    expect(asked.live.slice(0, 3)).toEqual(['', '&', '&&']);
    asked.broken = false;
    server.switchTo(session, 2);
    await advance(1500);
    expect(tab!.status).toBe('live');
    expect(tab!.platform).toBe(2);
    expect(tab!.of('sessionExpired')).toEqual([]);
  });

  test('that cannot be loaded leaves no timer behind when the tab stops', async () => {
    asked.broken = true;
    const { tabs } = await signedIn(1);
    tabs[0]!.sync.destroy();
    await advance(1);
    const tries = asked.live.length;
    await advance(60_000);
    expect(asked.live.length).toBe(tries);
  });

  test('is in memory before the leader dies: a follower takes over with the server down', async () => {
    const { browser, tabs, server } = await signedIn(2);
    const [leader, other] = tabs;
    server.stop();
    asked.broken = true;
    leader!.crash();
    await advance(2000);
    expect(browser.leader).toBe(other);
    expect(other!.status).toBe('reconnecting');
    server.down = false;
    await advance(2000);
    expect(other!.status).toBe('live');
  });
});

describe('what acts', () => {
  test('cannot be loaded: a network error, the choice is taken back, and the next use tries again', async () => {
    asked.broken = true;
    const { tabs } = await signedIn(1);
    const { sync } = tabs[0]!;
    const refused = sync.switchPlatform(2);
    expect(sync.getSnapshot().pending).toEqual({ id: 2 });
    for (const failed of [refused, sync.refresh(), sync.pinPlatform(2), sync.fetch('/posts'), sync.signOut()]) {
      expect(isSessionNetwork(await caught(failed))).toBe(true);
    }
    expect(await sync.validateSession()).toBe(false);
    expect(sync.getSnapshot().pending).toBeNull();
    expect(new Set(asked.act).size).toBe(asked.act.length);
    asked.broken = false;
    expect((await Promise.all([sync.switchPlatform(2), advance(500)]))[0].platform.id).toBe(2);
  });

  test('a request says what the tab showed when it was made, not when that was loaded', async () => {
    const { browser, tabs, server, session } = await signedIn(1);
    const { sync } = browser.open();
    sync.init();
    await advance(20);
    void tabs;
    const before = String(sync.getSnapshot().state?.platform?.id);
    void sync.fetch('/posts');
    server.switchTo(session, 2);
    await advance(500);
    expect(server.requests.find(({ path }) => path === '/posts')!.headers.get('X-Platform-Id')).toBe(before);
  });
});
