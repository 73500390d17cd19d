// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, Browser, signedIn, type Tab } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;
const warnings = (tab: Tab) => tab.of('sessionExpiring');
const expiring = (tab: Tab) => tab.sync.getSnapshot().expiring;

describe('the end is near', () => {
  test('every tab says so once, at the threshold, though nobody told it', async () => {
    const { tabs } = await signedIn(3);
    // Idle for half an hour, with a warning five minutes before.
    await advance(24 * MINUTE);
    expect(tabs.flatMap(warnings)).toEqual([]);
    await advance(MINUTE + 3000);
    for (const tab of tabs) {
      expect(warnings(tab)).toMatchObject([{ canExtend: true }]);
      expect(warnings(tab)[0].secondsLeft).toBeGreaterThan(296);
      expect(expiring(tab)).toEqual(warnings(tab)[0]);
    }
    await advance(4 * MINUTE);
    for (const tab of tabs) expect(warnings(tab)).toHaveLength(1);
  });

  test('and by the stream, with what the server knows: that staying is not possible', async () => {
    const { server, session, tabs } = await signedIn(2);
    const expires_at = new Date(Date.now() + 4 * MINUTE).toISOString();
    server.emit(session, 'expiring', { seconds_left: 240, can_extend: false, expires_at });
    await advance(2 * MINUTE);
    for (const tab of tabs) expect(warnings(tab)).toMatchObject([{ secondsLeft: 240, canExtend: false }]);
  });

  test('which has the first word: at the threshold no tab says otherwise', async () => {
    const { server, session, tabs } = await signedIn(2);
    await advance(25 * MINUTE - 200);
    const expires_at = new Date(server.started + server.idle).toISOString();
    await advance(server.started + 25 * MINUTE + 500 - Date.now());
    server.emit(session, 'expiring', { seconds_left: 299, can_extend: false, expires_at });
    await advance(5000);
    for (const tab of tabs) expect(warnings(tab)).toMatchObject([{ canExtend: false }]);
  });

  test('extend() in any tab: it is so no longer, in all of them', async () => {
    const { server, tabs } = await signedIn(3);
    await advance(26 * MINUTE);
    const before = server.requests.length;
    server.overrides.set('/api/session/refresh', () => {
      server.idle += 30 * MINUTE;
      return undefined;
    });
    const answer = tabs[1]!.sync.extend();
    await advance(100);
    expect(await answer).toMatchObject({ success: true });
    for (const tab of tabs) expect(expiring(tab)).toBeNull();
    expect(server.requests.length - before).toBe(2);
    await advance(30 * MINUTE);
    for (const tab of tabs) expect(warnings(tab)).toHaveLength(2);
  });

  test('activity in any tab counts for all', async () => {
    const { tabs } = await signedIn(3);
    await advance(26 * MINUTE);
    tabs[2]!.act();
    await advance(MINUTE + 100);
    for (const tab of tabs) expect(expiring(tab)).toBeNull();
  });

  test('a page may keep the built-in prompt away', async () => {
    const { tabs } = await signedIn(1);
    let prevented = 0;
    tabs[0]!.scope.addEventListener('sessionExpiring', (event) => {
      event.preventDefault();
      prevented += Number(event.defaultPrevented);
    });
    await advance(26 * MINUTE);
    expect(prevented).toBe(1);
  });
});

describe('lesson 40: a client clock', () => {
  test.for([-86_400_000, 86_400_000])('wrong by %d ms changes nothing', async (skew) => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    tab.skew = skew;
    tab.sync.init();
    await advance(24 * MINUTE);
    expect(warnings(tab)).toEqual([]);
    await advance(2 * MINUTE);
    expect(warnings(tab)).toHaveLength(1);
    expect(warnings(tab)[0].secondsLeft).toBeGreaterThan(295);
    expect(tab.of('sessionExpired')).toEqual([]);
  });

  test('that is set while the page is open changes nothing either', async () => {
    const { server, tabs } = await signedIn(2);
    const before = server.count('/api/session_state');
    for (const tab of tabs) tab.skew = 86_400_000;
    await advance(24 * MINUTE);
    expect(tabs.flatMap(warnings)).toEqual([]);
    expect(server.count('/api/session_state') - before).toBeLessThanOrEqual(4);
    await advance(2 * MINUTE);
    for (const tab of tabs) expect(warnings(tab)).toHaveLength(1);
  });
});

describe('a laptop that sleeps', () => {
  /** Nothing ran, and the clock went on. */
  const sleep = (tabs: Tab[], ms: number) => {
    vi.setSystemTime(Date.now() + ms);
    for (const tab of tabs) tab.slept += ms;
  };

  test('wakes up in step, within 2 s, on a stream that did not survive it', async () => {
    const { server, session, tabs } = await signedIn(3);
    const [stream] = server.streams;
    server.buffering = true; // the line is dead
    sleep(tabs, 10 * MINUTE);
    session.platform = { id: 2, name: 'Platform 2', type: 'mastodon' };
    session.version++;
    server.buffering = false;
    server.streams.delete(stream!);
    await advance(2000);
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2, 2]);
    for (const tab of tabs) expect(tab.status).toBe('live');
    expect(server.streams.size).toBe(1);
  });

  test('wakes up signed out where the session has ended, once in each tab', async () => {
    const { server, session, tabs } = await signedIn(3);
    sleep(tabs, 40 * MINUTE);
    session.endedBecause = ['SESSION_EXPIRED', 'idle_timeout'];
    for (const stream of [...server.streams]) stream.fail();
    await advance(3000);
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'idle_timeout' }]);
      expect(warnings(tab)).toEqual([]);
    }
  });
});
