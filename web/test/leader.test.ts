// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, Browser, signedIn } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

const shown = (tabs: { platform: number | undefined }[]) => tabs.map((tab) => tab.platform);

describe('a leader that is stopped and keeps its lock', () => {
  test('is replaced within 2 s, by one that resumes at the last stamp', async () => {
    const { browser, server, session, tabs } = await signedIn(4);
    const leader = browser.leader!;
    server.switchTo(session, 2);
    await advance(50);
    leader.stopped = true;
    server.switchTo(session, 3);
    await advance(2000);
    const others = tabs.filter((tab) => tab !== leader);
    expect(browser.leader).not.toBe(leader);
    expect(server.opened.at(-1)).toBe('/api/session/events?last_event_id=ada-1.1.2.1');
    expect(shown(others)).toEqual([3, 3, 3]);
    for (const tab of others) {
      expect(tab.of('platformSwitched').map(({ platformId }) => platformId)).toEqual([2, 3]);
      expect(tab.status).toBe('live');
    }
  });

  test('steps down when it goes on; two leaders for a moment do no harm', async () => {
    const { browser, server, session, tabs } = await signedIn(3);
    const old = browser.leader!;
    old.stopped = true;
    await advance(2000);
    server.switchTo(session, 2);
    const before = server.requests.length;
    old.goOn();
    expect(server.streams.size).toBe(2);
    server.switchTo(session, 3);
    await advance(100);
    expect(server.streams.size).toBe(1);
    expect(browser.leader).not.toBe(old);
    expect(shown(tabs)).toEqual([3, 3, 3]);
    for (const tab of tabs) {
      const ids = tab.of('platformSwitched').map(({ platformId }) => platformId);
      expect(ids.at(-1)).toBe(3);
      expect(new Set(ids).size).toBe(ids.length);
    }
    await advance(10_000);
    expect(server.streams.size).toBe(1);
    expect(server.requests.length - before).toBeLessThanOrEqual(1);
  });

  test('when those next in line are stopped with it, a tab that runs takes over', async () => {
    const { browser, server, session, tabs } = await signedIn(4);
    for (const tab of tabs.slice(0, 3)) tab.stopped = true;
    browser.leader!.crash();
    await advance(2500);
    server.switchTo(session, 2);
    await advance(100);
    expect(browser.leader).toBe(tabs[3]);
    expect(tabs[3]!.platform).toBe(2);
    for (const tab of tabs.slice(0, 3)) tab.goOn();
    await advance(2000);
    expect(shown(tabs.filter((tab) => tab.alive))).toEqual([2, 2, 2]);
    expect(server.streams.size).toBe(1);
  });

  test('is missed as soon as a hidden tab is looked at', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const leader = browser.leader!;
    const other = tabs.find((tab) => tab !== leader)!;
    other.show('hidden');
    leader.stopped = true;
    server.switchTo(session, 2);
    await advance(60_000);
    other.show('visible');
    await advance(2000);
    expect(other.platform).toBe(2);
    expect(browser.leader).toBe(other);
  });
});

describe('signs of life', () => {
  test('lesson 13: thirty tabs that somebody sees need few messages and no request', async () => {
    const { browser, server } = await signedIn(30);
    await advance(5000);
    const messages = browser.messages.length;
    const requests = server.requests.length;
    await advance(60_000);
    expect(server.requests.length).toBe(requests);
    // A question and an answer, by whoever is first to ask in each beat.
    expect((browser.messages.length - messages) / 60).toBeLessThanOrEqual(12);
    expect(server.opened).toHaveLength(1);
  });

  test('tabs that nobody sees say nothing', async () => {
    const { browser, tabs } = await signedIn(5);
    for (const tab of tabs) tab.show('hidden');
    await advance(1000);
    const before = browser.messages.length;
    await advance(600_000);
    expect(browser.messages.length).toBe(before);
    expect(browser.server.opened).toHaveLength(1);
  });

  test('a tab that slept takes nothing from a leader that answers', async () => {
    const { browser, server, tabs } = await signedIn(3);
    const leader = browser.leader!;
    const sleeper = tabs.find((tab) => tab !== leader)!;
    sleeper.stopped = true;
    await advance(60_000);
    sleeper.goOn();
    await advance(10_000);
    expect(browser.leader).toBe(leader);
    expect(server.opened).toHaveLength(1);
  });

  test('say how far the leader has come: who is behind asks once', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const leader = browser.leader!;
    const other = tabs.find((tab) => tab !== leader)!;
    browser.carry = (message: any) => (message.type === 'state' ? [] : [1]);
    const before = server.requests.length;
    server.switchTo(session, 2);
    await advance(2000);
    expect(other.platform).toBe(2);
    expect(server.requests.length - before).toBe(1);
  });
});

describe('cut off', () => {
  test('an extension that swallows messages: one leads, each other keeps in touch alone', async () => {
    const { browser, server, session, tabs } = await signedIn(4);
    browser.carry = () => [];
    await advance(20_000);
    const opened = server.opened.length;
    expect(server.streams.size).toBe(1);
    session.platform = { id: 2, name: 'Two', type: 'x' };
    session.version++;
    await advance(2100);
    server.switchTo(session, 3);
    await advance(2100);
    expect(shown(tabs)).toEqual([3, 3, 3, 3]);
    await advance(60_000);
    expect(server.opened.length).toBe(opened);
    // And together again when it is gone.
    browser.carry = () => [1];
    await advance(2000);
    const before = server.requests.length;
    await advance(20_000);
    expect(server.requests.length).toBe(before);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live', 'live', 'live']);
  });

  test('an extension whose channel throws is done without', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    (tab.scope as any).BroadcastChannel = function () {
      throw new Error('blocked');
    };
    tab.sync.init();
    await advance(5000);
    expect(tab.status).toBe('polling');
    expect(tab.platform).toBe(1);
  });

  test.for([
    ['rejects', () => Promise.reject(new DOMException('no', 'SecurityError'))],
    ['throws', () => { throw new DOMException('no', 'SecurityError'); }],
  ] as const)('a frame whose locks are forbidden polls: it %s', async ([, request]) => {
    const browser = new Browser();
    const session = browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    (tab.scope.navigator.locks as any).request = request;
    tab.sync.init();
    await advance(5000);
    expect(tab.status).toBe('polling');
    session.platform = { id: 2, name: 'Two', type: 'x' };
    session.version++;
    await advance(2100);
    expect(tab.platform).toBe(2);
    const before = browser.server.requests.length;
    await advance(20_000);
    expect(browser.server.requests.length - before).toBeLessThanOrEqual(11);
  });

  test('a third-party frame without cookie or storage is signed out and quiet', async () => {
    const browser = new Browser();
    const tab = browser.open();
    for (const name of ['localStorage', 'sessionStorage', 'BroadcastChannel']) {
      Object.defineProperty(tab.scope, name, {
        get() {
          throw new DOMException('no', 'SecurityError');
        },
      });
    }
    tab.sync.init();
    await advance(60_000);
    expect(tab.events).toEqual([]);
    expect(browser.server.requests).toHaveLength(1);
  });
});

describe('a proxy that buffers', () => {
  test('is noticed within 5 s: the leader polls for all, and tries streams again', async () => {
    const browser = new Browser();
    const { server } = browser;
    const session = server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    server.buffering = true;
    const tabs = [browser.open(), browser.open()];
    for (const tab of tabs) tab.sync.init();
    await advance(5500);
    expect(browser.leader!.status).toBe('polling');
    server.switchTo(session, 2);
    await advance(2100);
    expect(shown(tabs)).toEqual([2, 2]);
    expect(tabs.map((tab) => tab.status)).toEqual(['polling', 'polling']);
    const before = server.requests.length;
    await advance(20_000);
    expect(server.requests.length - before).toBeLessThanOrEqual(11);
    server.buffering = false;
    await advance(120_000);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live']);
  });

  test('or a line that goes dead without a word is noticed by its silence', async () => {
    const { server, session, tabs } = await signedIn(2);
    server.buffering = true;
    server.switchTo(session, 2);
    await advance(45_000);
    expect(shown(tabs)).toEqual([2, 2]);
    server.buffering = false;
  });

  test('a quiet stream is none', async () => {
    const { server, tabs } = await signedIn(2);
    await advance(600_000);
    expect(server.opened).toHaveLength(1);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live']);
  });
});

describe('backing off', () => {
  const gaps = (times: number[]) => times.slice(1).map((time, i) => time - times[i]!);
  const asked = async (ms: number) => {
    const world = await signedIn(1, ['EventSource']);
    const times: number[] = [];
    world.server.overrides.set('/api/session_state', () => {
      times.push(Date.now());
      return { status: 503 };
    });
    await advance(ms);
    return { ...world, times };
  };

  test('the waits double, then grow with the outage up to half a minute', async () => {
    const { times } = await asked(7_200_000);
    const waits = gaps(times);
    expect(waits[0]).toBeLessThanOrEqual(260);
    expect(waits[1]).toBeLessThanOrEqual(510);
    for (const wait of waits.slice(2, 20)) expect(wait).toBeLessThanOrEqual(1010);
    const last = waits.slice(-20);
    for (const wait of last) expect(wait).toBeGreaterThanOrEqual(15_000);
    for (const wait of last) expect(wait).toBeLessThanOrEqual(30_010);
    // In step with nobody.
    expect(new Set(last).size).toBeGreaterThan(10);
  });

  test('but when the network is back it asks at once', async () => {
    const { server, tabs, times } = await asked(3_600_000);
    server.overrides.clear();
    const before = server.requests.length;
    tabs[0]!.scope.dispatchEvent(new Event('online'));
    await advance(20);
    expect(server.requests.length - before).toBeGreaterThanOrEqual(1);
    expect(times.length).toBeGreaterThan(10);
    await advance(100);
    expect(tabs[0]!.status).toBe('polling');
  });

  test('also before anybody has answered', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    browser.server.down = 'network';
    const tab = browser.open();
    tab.sync.init();
    await advance(3_600_000);
    browser.server.down = false;
    tab.scope.dispatchEvent(new Event('online'));
    await advance(20);
    expect(tab.platform).toBe(1);
  });

  test('a question that fails while the stream flows does not leave the tab “reconnecting”', async () => {
    const { server, tabs } = await signedIn(1);
    server.overrides.set('/api/session_state', () => ({ status: 503 }));
    void tabs[0]!.sync.syncSessionState();
    await advance(100);
    expect(tabs[0]!.status).toBe('reconnecting');
    server.overrides.clear();
    await advance(1100);
    expect(tabs[0]!.status).toBe('live');
    expect(server.opened).toHaveLength(1);
  });
});
