// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, Browser, signedIn } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

describe('one leader', () => {
  test('holds the one stream; a switch reaches every tab without a request', async () => {
    const { server, session, tabs } = await signedIn(5);
    expect(server.streams.size).toBe(1);
    const before = server.requests.length;
    server.switchTo(session, 2);
    await advance(20);
    for (const tab of tabs) {
      expect(tab.platform).toBe(2);
      expect(tab.of('platformSwitched')).toEqual([
        { platformId: 2, platformName: 'Platform 2', platformType: 'mastodon', stamp: '1.2.1' },
      ]);
    }
    expect(server.requests.length).toBe(before);
  });

  test.for(['crash', 'navigateAway'] as const)(
    'that goes by %s is replaced, and what happened meanwhile is heard',
    async (leaves) => {
      const { browser, server, session, tabs } = await signedIn(4);
      const leader = browser.leader!;
      leader[leaves]();
      server.switchTo(session, 3);
      await advance(200);
      expect(server.streams.size).toBe(1);
      expect(browser.leader).not.toBe(leader);
      expect(server.opened.at(-1)).toBe('/api/session/events?last_event_id=ada-1.1.1.1');
      for (const tab of tabs) if (tab !== leader) expect(tab.platform).toBe(3);
    },
  );

  test('in a page kept for going back comes back in step', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const leader = browser.leader!;
    leader.scope.dispatchEvent(new Event('pagehide'));
    await advance(50);
    expect(browser.leader).toBe(tabs.find((tab) => tab !== leader));
    server.switchTo(session, 4);
    await advance(50);
    expect(leader.platform).toBe(1);
    leader.scope.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await advance(50);
    expect(leader.platform).toBe(4);
    server.switchTo(session, 5);
    await advance(50);
    expect(leader.platform).toBe(5);
  });

  test('that the browser freezes gives the lead away', async () => {
    const { browser } = await signedIn(2);
    const leader = browser.leader!;
    leader.document.dispatchEvent(new Event('freeze'));
    await advance(50);
    expect(browser.leader).not.toBe(leader);
  });

  test('asks once when a version was skipped, and once when a stamp is told without its state', async () => {
    const { server, session } = await signedIn(4);
    const asked = () => server.count('/api/session_state');
    let before = asked();
    session.version += 3;
    server.switchTo(session, 2);
    await advance(500);
    expect(asked() - before).toBe(1);
    before = asked();
    session.rev++;
    server.emit(session, 'sessions_changed', { rev: session.rev, stamp: `1.${session.version}.${session.rev}` });
    await advance(500);
    expect(asked() - before).toBe(1);
  });

  test('hears of other sessions, and every tab has the new rev', async () => {
    const { server, session, tabs } = await signedIn(3);
    session.rev = 2;
    server.emit(session, 'sessions_changed', { rev: 2, stamp: '1.1.2' });
    await advance(100);
    expect(tabs.map((tab) => tab.stamp)).toEqual(['1.1.2', '1.1.2', '1.1.2']);
  });

  test('passes on that the session is about to expire', async () => {
    const { server, session, tabs } = await signedIn(3);
    const expires_at = new Date(Date.now() + 240_000).toISOString();
    server.emit(session, 'expiring', { seconds_left: 240, can_extend: false, expires_at });
    await advance(20);
    for (const tab of tabs) {
      expect(tab.of('sessionExpiring')).toEqual([
        { secondsLeft: 240, canExtend: false, deadline: Date.parse(expires_at) },
      ]);
    }
  });

  test('lesson 30: a page that syncs, switches and validates inside our events blocks nobody', async () => {
    const { browser, server, session } = await signedIn(2);
    const { sync, scope } = browser.leader!;
    const done: string[] = [];
    scope.addEventListener('platformSwitched', async () => {
      await sync.syncSessionState();
      done.push('sync');
      await sync.validateSession();
      done.push('validate');
      if (done.length < 3) await sync.switchPlatform(5);
    });
    server.switchTo(session, 2);
    await advance(500);
    expect(done).toEqual(['sync', 'validate', 'sync', 'validate']);
    expect(browser.tabs.map((tab) => tab.platform)).toEqual([5, 5]);
  });
});

describe('switching', () => {
  test('switchPlatform: every tab says so once, the switching one included, for two requests', async () => {
    const { server, tabs } = await signedIn(6);
    const before = server.requests.length;
    const answer = await Promise.all([tabs[3]!.sync.switchPlatform(2), advance(50)]).then(([a]) => a);
    expect(answer.platform).toMatchObject({ id: 2, name: 'Platform 2', platform_type: 'mastodon' });
    await advance(1000);
    for (const tab of tabs) expect(tab.of('platformSwitched')).toHaveLength(1);
    expect(server.requests.length - before).toBe(2);
  });

  test('notifyPlatformSwitch is believed only when the server agrees', async () => {
    const { server, tabs } = await signedIn(6);
    const before = server.requests.length;
    tabs[2]!.sync.notifyPlatformSwitch(9, 'Somebody else <b>');
    await advance(5000);
    for (const tab of tabs) expect(tab.of('platformSwitched')).toEqual([]);
    expect(server.requests.length - before).toBeLessThanOrEqual(2);
  });

  test('notifyPlatformSwitch reaches tabs though the switching one leaves and the stream is silent', async () => {
    const { server, session, tabs } = await signedIn(3);
    session.platform = { id: 2, name: 'Platform 2', type: 'mastodon' };
    session.version++;
    tabs[2]!.sync.notifyPlatformSwitch(2, 'Platform 2');
    tabs[2]!.navigateAway();
    await advance(500);
    expect(tabs[0]!.platform).toBe(2);
    expect(tabs[1]!.platform).toBe(2);
    expect(server.streams.size).toBe(1);
  });

  test('rejects with the server’s words', async () => {
    const { tabs } = await signedIn(1);
    const refused = tabs[0]!.sync.switchPlatform(99).catch((error) => error);
    await advance(50);
    expect(await refused).toMatchObject({
      name: 'SessionRefusedError',
      status: 404,
      code: 'PLATFORM_NOT_FOUND',
      context: 'session',
      message: 'No such platform',
    });
  });

  test('lesson 4: an answer that left before the switch does not put the old platform back', async () => {
    const { server, session, tabs } = await signedIn(2);
    server.latency = 500;
    const slow = tabs[1]!.sync.syncSessionState();
    await advance(10);
    server.switchTo(session, 2);
    await advance(600);
    expect((await slow)?.platform?.id).toBe(2);
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2]);
    expect(tabs[1]!.of('platformSwitched')).toHaveLength(1);
  });
});

describe('an answer on its way', () => {
  test('lesson 24: does not bring back the session that ended meanwhile', async () => {
    const { server, session, tabs } = await signedIn(2);
    server.latency = 500;
    session.version++;
    const late = tabs[1]!.sync.syncSessionState();
    await advance(10);
    server.end(session, 'SESSION_ENDED', 'revoked_by_admin');
    await advance(2000);
    expect(await late).toBeNull();
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toHaveLength(1);
      expect(tab.of('sessionStateChanged')).toHaveLength(1);
    }
  });

  test('does not end the session that began meanwhile', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const heir = tabs.find((tab) => tab !== browser.leader)!;
    server.latency = 500;
    session.endedBecause = ['SESSION_EXPIRED', 'lifetime'];
    void heir.sync.syncSessionState();
    server.latency = 5;
    server.signIn('ada-2', 7, 'ada', 3).rev = 2;
    browser.cookie = 'ada-2';
    browser.leader!.crash();
    await advance(1000);
    expect(heir.platform).toBe(3);
    expect(heir.of('sessionExpired')).toEqual([]);
  });

  test('does not hide what another tab has heard meanwhile', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const late = tabs.find((tab) => tab !== browser.leader)!;
    browser.carry = () => [];
    browser.storageEvents = false;
    server.latency = 500;
    void late.sync.syncSessionState();
    await advance(10);
    server.switchTo(session, 2);
    await advance(2500);
    expect(late.platform).toBe(2);
  });
});

describe('the end', () => {
  test('lesson 13: ten tabs and a 401: one event each, bounded requests and messages', async () => {
    const { browser, server, session, tabs } = await signedIn(10);
    const requests = server.requests.length;
    const messages = browser.messages.length;
    server.end(session, 'SESSION_EXPIRED', 'idle_timeout');
    await Promise.all([...tabs.map((tab) => tab.sync.syncSessionState()), advance(60_000)]);
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'idle_timeout' }]);
      expect(tab.redirects).toEqual(['/login']);
      expect(tab.errors).toHaveLength(1);
      expect(tab.errors[0]).toMatchObject({ context: 'session', reason: 'idle_timeout' });
      expect(tab.errors[0].message).toContain('expired');
    }
    expect(server.requests.length - requests).toBeLessThanOrEqual(10);
    expect(browser.messages.length - messages).toBeLessThanOrEqual(10);
    expect(server.streams.size).toBe(0);
  });

  test('every tab is told in the server’s words why, when and by which device', async () => {
    const { server, session, tabs } = await signedIn(3);
    const error = 'You signed in on Safari on iPhone today at 11:30 UTC, and this session made way.';
    const ended_at = '2026-01-11T11:30:00Z';
    server.end(session, 'SESSION_ENDED', 'evicted_by_limit', {
      error,
      ended_at,
      ended_from: 'Safari on iPhone',
    });
    await advance(1000);
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toEqual([
        expect.objectContaining({
          reason: 'evicted_by_limit',
          error,
          ended_at,
          ended_from: 'Safari on iPhone',
        }),
      ]);
      expect(tab.errors[0].message).toBe(`Your session has expired (evicted_by_limit). ${error}`);
    }
  });

  test('lesson 13: ten polling tabs without a stream end as quietly', async () => {
    const { browser, server, session, tabs } = await signedIn(10, ['EventSource']);
    const requests = server.requests.length;
    const messages = browser.messages.length;
    server.end(session, 'SESSION_EXPIRED', 'lifetime');
    await advance(60_000);
    for (const tab of tabs) expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'lifetime' }]);
    expect(server.requests.length - requests).toBeLessThanOrEqual(20);
    expect(browser.messages.length - messages).toBeLessThanOrEqual(10);
  });

  test('a tab that shows the sign-in page is not sent there again', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open([], '/login');
    tab.sync.init();
    await advance(50);
    browser.server.end(browser.server.sessions.get('x')!, 'SESSION_EXPIRED', 'lifetime');
    await advance(5000);
    expect(tab.of('sessionExpired')).toHaveLength(1);
    expect(tab.redirects).toEqual([]);
  });

  test('a page may prevent what follows', async () => {
    const { server, session, tabs } = await signedIn(1);
    tabs[0]!.scope.addEventListener('sessionExpired', (event) => event.preventDefault());
    server.end(session, 'SESSION_ENDED', 'revoked_by_user');
    await advance(100);
    expect(tabs[0]!.redirects).toEqual([]);
    expect(tabs[0]!.errors).toEqual([]);
  });

  test('somebody who is not signed in has nothing that could expire', async () => {
    const browser = new Browser();
    const tab = browser.open();
    tab.sync.init();
    await advance(60_000);
    expect(tab.events).toEqual([]);
    expect(tab.redirects).toEqual([]);
    expect(browser.server.requests).toHaveLength(1);
  });

  test('the way back is kept for who expired, not for who signed out', async () => {
    const first = await signedIn(1);
    first.server.end(first.session, 'SESSION_EXPIRED', 'lifetime');
    await advance(100);
    expect(first.tabs[0]!.sync.takeReturnPath()).toBe('/home?page=2');
    expect(first.tabs[0]!.sync.takeReturnPath()).toBeNull();
    const second = await signedIn(1);
    void second.tabs[0]!.sync.signOut();
    await advance(100);
    expect(second.tabs[0]!.redirects).toEqual(['/login']);
    expect(second.tabs[0]!.sync.takeReturnPath()).toBeNull();
  });

  test.for(['//evil.test', '/\\evil.test', 'https://evil.test', ''])(
    'the way back is never %j',
    async (path) => {
      const { tabs } = await signedIn(1);
      tabs[0]!.session.set('vedfolnir_return_to', path);
      expect(tabs[0]!.sync.takeReturnPath()).toBeNull();
    },
  );

  test('lesson 27: signing out reaches the other tabs, and clears what is ours', async () => {
    const { browser, server, tabs } = await signedIn(4);
    browser.storage.set('vedfolnir_draft', 'x').set('theme', 'dark');
    const before = server.requests.length;
    void tabs[2]!.sync.signOut();
    await advance(5000);
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'signed_out' }]);
      expect(tab.redirects).toEqual(['/login']);
      expect(tab.errors).toEqual([]);
    }
    expect([...browser.storage.keys()]).toEqual(['theme']);
    expect(server.requests.length - before).toBeLessThanOrEqual(3);
  });

  test('lesson 27: signing out by a form reaches the other tabs by the stream', async () => {
    const { browser, server, session, tabs } = await signedIn(4);
    server.end(session, 'SESSION_ENDED', 'signed_out');
    browser.cookie = undefined;
    await advance(1500);
    for (const tab of tabs) expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'signed_out' }]);
  });

  test('signing out with the server down clears the page and says that it failed', async () => {
    const { browser, server, tabs } = await signedIn(1);
    server.stop();
    const failed = tabs[0]!.sync.signOut().catch((error) => error);
    await advance(50);
    expect((await failed).message).toContain('network');
    expect(browser.storage.size).toBe(0);
    expect(tabs[0]!.redirects).toEqual([]);
  });
});

describe('signing in', () => {
  test('as another person in one tab: the others reload once', async () => {
    const { browser, server, session, tabs } = await signedIn(5);
    const before = server.requests.length;
    // The old session ends before the new cookie has arrived.
    server.end(session, 'SESSION_ENDED', 'signed_out');
    tabs[4]!.navigateAway();
    await advance(100);
    server.signIn('bob-1', 8, 'bob');
    browser.cookie = 'bob-1';
    const bob = browser.open();
    bob.sync.init();
    await advance(10_000);
    for (const tab of tabs.slice(0, 4)) {
      expect(tab.reloads).toBe(1);
      expect(tab.of('sessionExpired')).toEqual([]);
      expect(tab.redirects).toEqual([]);
    }
    expect(bob.reloads).toBe(0);
    expect(bob.of('sessionStateChanged')).toHaveLength(1);
    expect(server.requests.length - before).toBeLessThanOrEqual(10);
  });

  test('slowly, with the old cookie still there when the server is first asked', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const { browser, server, session, tabs } = await signedIn(3);
    await advance(5000);
    server.end(session, 'SESSION_ENDED', 'signed_out');
    await advance(350);
    server.signIn('bob-1', 8, 'bob');
    browser.cookie = 'bob-1';
    await advance(2000);
    for (const tab of tabs) {
      expect(tab.reloads).toBe(1);
      expect(tab.of('sessionExpired')).toEqual([]);
    }
  });

  test('after being signed out replaces the state', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    for (const tab of tabs) tab.scope.addEventListener('sessionExpired', (e) => e.preventDefault());
    server.end(session, 'SESSION_EXPIRED', 'lifetime');
    await advance(1000);
    server.signIn('ada-2', 7, 'ada', 3);
    browser.cookie = 'ada-2';
    const again = browser.open();
    again.sync.init();
    await advance(1000);
    for (const tab of [...tabs, again]) {
      expect(tab.platform).toBe(3);
      expect(tab.reloads).toBe(0);
    }
    expect(server.streams.size).toBe(1);
  });

  test('a message of the session before is not believed any more', async () => {
    const { browser, server, session, tabs } = await signedIn(1);
    const old = server.stateOf(session);
    server.signIn('ada-2', 7, 'ada', 3);
    browser.cookie = 'ada-2';
    server.sessions.delete('ada-1');
    void tabs[0]!.sync.syncSessionState();
    await advance(100);
    const before = server.requests.length;
    const ghost = browser.open();
    const channel = new ghost.scope.BroadcastChannel('x');
    channel.postMessage({ v: 1, at: 0, type: 'state', kind: 'state', state: old });
    await advance(1000);
    expect(tabs[0]!.platform).toBe(3);
    expect(server.requests.length).toBe(before);
  });

  test('a higher epoch is accepted, however low its version', async () => {
    const { server, session, tabs } = await signedIn(3);
    session.version = 90;
    server.switchTo(session, 2);
    await advance(100);
    Object.assign(session, { epoch: 2, version: 4 });
    server.switchTo(session, 3);
    await advance(100);
    expect(tabs.map((tab) => tab.stamp)).toEqual(['2.5.1', '2.5.1', '2.5.1']);
  });
});

describe('without the means', () => {
  test.for(['EventSource', 'locks', 'BroadcastChannel'])('no %s: the tab polls', async (missing) => {
    const { server, session, tabs } = await signedIn(2, [missing]);
    expect(server.opened).toEqual([]);
    const before = server.count('/api/session_state', tabs[0]);
    await advance(20_000);
    expect(server.count('/api/session_state', tabs[0]) - before).toBeLessThanOrEqual(11);
    expect(tabs[0]!.status).toBe('polling');
    session.platform = { id: 2, name: 'Two', type: 'x' };
    session.version++;
    await advance(2100);
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2]);
  });

  test('polls say what they know, and 304 changes nothing', async () => {
    const { server, tabs } = await signedIn(1, ['EventSource']);
    await advance(10_000);
    expect(server.requests.at(-1)!.headers.get('If-None-Match')).toBe('"ada-1.1.1.1"');
    expect(tabs[0]!.of('sessionStateChanged')).toHaveLength(1);
  });

  test('lesson 31: a hidden tab does not poll, and is right when it is looked at', async () => {
    const { server, session, tabs } = await signedIn(1, ['EventSource']);
    tabs[0]!.show('hidden');
    await advance(2000);
    const before = server.requests.length;
    await advance(600_000);
    expect(server.requests.length - before).toBe(0);
    server.switchTo(session, 2);
    tabs[0]!.show('visible');
    await advance(20);
    expect(tabs[0]!.platform).toBe(2);
    expect(server.requests.length - before).toBe(1);
  });

  test('polling, a tab warns by itself, once', async () => {
    const { server, tabs } = await signedIn(1, ['EventSource']);
    server.lifetime = 400_000;
    void tabs[0]!.sync.refresh();
    await advance(200_000);
    expect(tabs[0]!.of('sessionExpiring')).toHaveLength(1);
    expect(tabs[0]!.of('sessionExpiring')[0]).toMatchObject({ canExtend: true });
    expect(tabs[0]!.of('sessionExpiring')[0].secondsLeft).toBeGreaterThan(295);
  });

  test('a proxy that cuts streams short: the leader polls for all, and tries again', async () => {
    const { browser, server, session, tabs } = await signedIn(3);
    server.streamsWork = false;
    for (const stream of [...server.streams]) stream.fail();
    await advance(10_000);
    expect(browser.leader!.status).toBe('polling');
    const before = server.count('/api/session_state');
    await advance(20_000);
    expect(server.count('/api/session_state') - before).toBeLessThanOrEqual(11);
    session.platform = { id: 2, name: 'Two', type: 'x' };
    session.version++;
    await advance(2100);
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2, 2]);
    server.streamsWork = true;
    await advance(120_000);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live', 'live']);
  });

  test('sync.enabled false: no stream, no channel, no polling, no heartbeat', async () => {
    const browser = new Browser();
    browser.server.sync['enabled'] = false;
    const session = browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    tab.sync.init();
    await advance(1000);
    tab.act();
    tab.show('visible');
    await advance(600_000);
    expect(browser.server.requests.map(({ path }) => path)).toEqual(['/api/session_state']);
    expect(browser.server.opened).toEqual([]);
    expect(browser.channels.size).toBe(0);
    browser.server.switchTo(session, 2);
    void tab.sync.syncSessionState();
    await advance(50);
    expect(tab.platform).toBe(2);
  });
});

describe('server and network', () => {
  test.for(['network', 503] as const)('%s: nobody is signed out; right again in 2 s', async (how) => {
    const { server, session, tabs } = await signedIn(3);
    server.stop(how);
    await advance(30_000);
    for (const tab of tabs) {
      expect(tab.status).toBe('reconnecting');
      expect(tab.of('sessionExpired')).toEqual([]);
    }
    session.platform = { id: 2, name: 'Two', type: 'x' };
    session.version++;
    server.down = false;
    await advance(2000);
    for (const tab of tabs) {
      expect(tab.status).toBe('live');
      expect(tab.platform).toBe(2);
    }
  });

  test('streams that end with the server are not held against streams', async () => {
    const { server, tabs } = await signedIn(2);
    for (let i = 0; i < 6; i++) {
      server.stop();
      await advance(1500);
      server.down = false;
      await advance(1100);
    }
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live']);
  });

  test('lesson 37: an outage is told once, by one tab, and costs about a request a second', async () => {
    const { server, tabs } = await signedIn(5);
    server.stop();
    const before = server.requests.length;
    await advance(60_000);
    expect(tabs.flatMap((tab) => tab.errors)).toHaveLength(1);
    expect(tabs.flatMap((tab) => tab.errors)[0].message).toContain('network');
    expect(server.requests.length - before).toBeLessThan(125);
  });

  test('lesson 12: a page in place of an answer signs nobody out', async () => {
    const { server, tabs } = await signedIn(1);
    server.down = 'html';
    const state = tabs[0]!.sync.syncSessionState();
    await advance(50);
    expect(await state).toBeNull();
    expect(tabs[0]!.of('sessionExpired')).toEqual([]);
  });

  test('a page opened while the server is down comes up when it does', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    browser.server.down = 'network';
    const tab = browser.open();
    tab.sync.init();
    await advance(10_000);
    expect(tab.status).toBe('reconnecting');
    browser.server.down = false;
    await advance(1100);
    expect(tab.platform).toBe(1);
    expect(tab.status).toBe('live');
  });

  test('a limit is obeyed', async () => {
    const { server } = await signedIn(1, ['EventSource']);
    server.overrides.set('/api/session_state', () => ({ status: 429, headers: { 'Retry-After': '30' } }));
    await advance(5000);
    const before = server.requests.length;
    await advance(60_000);
    expect(server.requests.length - before).toBeLessThanOrEqual(2);
  });

  test('offline and online again', async () => {
    const { browser, server, tabs } = await signedIn(2);
    for (const tab of tabs) {
      (tab.scope.navigator as any).onLine = false;
      tab.scope.dispatchEvent(new Event('offline'));
    }
    server.stop();
    await advance(10_000);
    expect(tabs.map((tab) => tab.status)).toEqual(['offline', 'offline']);
    expect(tabs[0]!.sync.isOnline).toBe(false);
    server.down = false;
    for (const tab of tabs) {
      (tab.scope.navigator as any).onLine = true;
      tab.scope.dispatchEvent(new Event('online'));
    }
    await advance(2000);
    expect(tabs.map((tab) => tab.status)).toEqual(['live', 'live']);
    expect(browser.server.streams.size).toBe(1);
  });

  test('offline and online are nothing to a tab that keeps no touch', async () => {
    const browser = new Browser();
    const tab = browser.open();
    tab.sync.init();
    await advance(100);
    for (const type of ['offline', 'online']) tab.scope.dispatchEvent(new Event(type));
    await advance(1000);
    expect(tab.status).toBeUndefined();
    expect(browser.server.requests).toHaveLength(1);
  });

  test('lesson 26: a rotated cookie is nothing a tab notices', async () => {
    const { browser, server, session, tabs } = await signedIn(3);
    server.sessions.set('rotated', session);
    browser.cookie = 'rotated';
    for (const stream of [...server.streams]) stream.fail();
    await advance(5000);
    for (const tab of tabs) {
      expect(tab.of('sessionExpired')).toEqual([]);
      expect(tab.of('sessionStateChanged')).toHaveLength(1);
      expect(tab.status).toBe('live');
    }
  });
});

describe('looking at a tab', () => {
  test('lesson 41: focus and visibility together cost at most one fetch', async () => {
    const { server, tabs } = await signedIn(2);
    const before = server.requests.length;
    for (let i = 0; i < 5; i++) {
      tabs[1]!.show('hidden');
      tabs[1]!.show('visible');
    }
    await advance(500);
    expect(server.requests.length - before).toBe(0);
    await advance(60_000);
    tabs[1]!.show('visible');
    await advance(500);
    expect(server.requests.length - before).toBe(1);
  });

  test('lesson 31: tabs that nobody uses ask nothing while the stream is live', async () => {
    const { server } = await signedIn(10);
    const before = server.requests.length;
    await advance(600_000);
    expect(server.requests.length - before).toBe(0);
  });
});

describe('activity', () => {
  const beats = (requests: { path: string; body: string | undefined }[]) =>
    requests.filter(({ path }) => path === '/api/session/heartbeat').map(({ body }) => body);

  test('lesson 14: a person in any tab is told by the leader, once in an interval', async () => {
    const { browser, server, tabs } = await signedIn(4);
    const before = server.requests.length;
    for (let second = 0; second < 300; second++) {
      for (const tab of tabs) tab.act();
      await advance(1000);
    }
    const requests = server.requests.slice(before);
    expect(beats(requests).length).toBeGreaterThanOrEqual(9);
    expect(beats(requests).length).toBeLessThanOrEqual(11);
    expect(new Set(beats(requests))).toEqual(new Set(['{"active":true}']));
    expect(requests.every(({ tab }) => tab === browser.leader)).toBe(true);
  });

  test('in a tab that does not lead is told within two intervals, and moves every countdown', async () => {
    const { browser, server, tabs } = await signedIn(3);
    const follower = tabs.find((tab) => tab !== browser.leader)!;
    follower.act();
    await advance(60_000);
    expect(beats(server.requests)).toEqual(['{"active":true}']);
    await advance(120_000);
    expect(beats(server.requests)).toHaveLength(1);
  });

  test('what a script does is none', async () => {
    const { server, tabs } = await signedIn(1);
    tabs[0]!.document.dispatchEvent(new Event('keydown'));
    await advance(120_000);
    expect(beats(server.requests)).toEqual([]);
  });
});

describe('this tab', () => {
  test('init may be called twice, and its stop stops everything', async () => {
    const { browser, server, tabs } = await signedIn(1);
    const [tab] = tabs;
    const stop = tab!.sync.init();
    expect(tab!.sync.init()).toBe(stop);
    expect((tab!.scope as any).sessionSync).toBe(tab!.sync);
    expect(server.count('/api/session_state')).toBe(1);
    stop();
    await advance(100);
    expect(server.streams.size).toBe(0);
    expect(browser.channels.size).toBe(0);
    expect(browser.leader).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('its id lives as long as it, through navigation, and is not copied with it', async () => {
    const { browser, tabs } = await signedIn(1);
    const [tab] = tabs;
    expect(tab!.sync.getTabId()).toBe(tab!.sync.tabId);
    expect(tab!.session.has('vedfolnir_tab_id')).toBe(false);
    tab!.navigateAway();
    const next = browser.open();
    next.session.set('vedfolnir_tab_id', tab!.session.get('vedfolnir_tab_id')!);
    const { SessionSync } = await import('../src/index.js');
    expect(new SessionSync(next.scope).tabId).toBe(tab!.sync.tabId);
  });

  test('many callers at once cost two requests: the one running, and one after it', async () => {
    const { server, tabs } = await signedIn(1);
    const before = server.requests.length;
    await Promise.all([...Array.from({ length: 50 }, () => tabs[0]!.sync.syncSessionState()), advance(50)]);
    expect(server.requests.length - before).toBe(2);
  });

  test('counts', async () => {
    const { server, tabs } = await signedIn(1);
    const metrics = () => tabs[0]!.sync.getPerformanceMetrics();
    expect(metrics()).toMatchObject({ syncCount: 1, errorRate: 0, avgSyncTime: 5 });
    expect(tabs[0]!.sync.lastSyncTime).toBeTypeOf('number');
    server.down = 'network';
    void tabs[0]!.sync.syncSessionState();
    await advance(50);
    expect(metrics()).toMatchObject({ syncCount: 2, errorRate: 0.5 });
  });

  test('tells a listener what was heard, from where, and when it was sent', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    const heard: any[][] = tabs.map(() => []);
    const stops = tabs.map((tab, i) => tab.sync.onMessage((message) => heard[i]!.push(message)));
    server.switchTo(session, 2);
    await advance(50);
    const at = heard[tabs.indexOf(browser.leader!)]![0].at;
    const [leading, following] = browser.leader === tabs[0] ? heard : [...heard].reverse();
    expect(leading).toEqual([{ at, source: 'stream', kind: 'platform_switched', stamp: '1.2.1' }]);
    expect(following).toEqual([
      { at: at + 1, sentAt: at, source: 'channel', kind: 'platform_switched', stamp: '1.2.1' },
    ]);
    stops.forEach((stop) => stop());
    server.switchTo(session, 3);
    await advance(50);
    expect(heard.flat()).toHaveLength(2);
  });

  test('a listener that throws harms nobody', async () => {
    const { server, session, tabs } = await signedIn(2);
    for (const tab of tabs) {
      tab.sync.onMessage(() => {
        throw new Error('mine');
      });
    }
    server.switchTo(session, 2);
    await advance(50);
    expect(tabs.map((tab) => tab.platform)).toEqual([2, 2]);
    expect(tabs[0]!.errors[0].message).toBe('mine');
  });

  test('debugMode logs what is heard and said', async () => {
    const debug = vi.spyOn(console, 'debug').mockImplementation(() => {});
    const { server, session, tabs } = await signedIn(1);
    tabs[0]!.sync.debugMode = true;
    server.switchTo(session, 2);
    await advance(200);
    expect(debug.mock.calls.map(([, , what]) => what)).toContain('platformSwitched');
    const { length } = debug.mock.calls;
    tabs[0]!.sync.debugMode = false;
    server.switchTo(session, 3);
    await advance(200);
    expect(debug).toHaveBeenCalledTimes(length);
  });

  test('the marker in storage says who synced when and how far, and nothing else', async () => {
    const { browser, tabs } = await signedIn(1);
    expect(JSON.parse(browser.storage.get('vedfolnir_session_state')!)).toEqual({
      stamp: '1.1.1',
      at: tabs[0]!.sync.lastSyncTime,
      tab: tabs[0]!.sync.tabId,
    });
  });

  test('storage that throws is done without', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada');
    browser.cookie = 'x';
    const tab = browser.open();
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(tab.scope, name, {
        get() {
          throw new DOMException('no', 'SecurityError');
        },
      });
    }
    tab.sync.init();
    await advance(5000);
    expect(tab.platform).toBe(1);
    tab.sync.handleSessionExpired();
    expect(tab.redirects).toEqual(['/login']);
  });
});
