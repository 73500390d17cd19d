// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, signedIn, type Tab } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

const switches = (tab: Tab) =>
  tab.browser.server.requests.map(({ path }) => path).filter((path) => path.includes('/switch_platform/'));
const pending = (tab: Tab) => tab.sync.getSnapshot().pending;
const told = (tab: Tab) => tab.of('platformSwitched').map(({ platformId }) => platformId);
/** As whom the tab posts. */
async function postsAs(tab: Tab) {
  await Promise.all([tab.sync.fetch('/posts', { method: 'POST' }), advance(50)]);
  const { headers } = tab.browser.server.requests.findLast(({ path }) => path === '/posts')!;
  return headers.get('X-Platform-Id');
}

describe('a choice', () => {
  test('is pending at once, and acts as what is shown; the event comes when the server has agreed', async () => {
    const { server, tabs } = await signedIn(2);
    server.latency = 500;
    const answer = tabs[0]!.sync.switchPlatform(2, 'Platform 2');
    expect(pending(tabs[0]!)).toEqual({ id: 2, name: 'Platform 2' });
    expect(pending(tabs[1]!)).toBeNull();
    void tabs[0]!.sync.fetch('/posts', { method: 'POST' });
    await advance(10);
    expect(server.requests.at(-1)!.headers.get('X-Platform-Id')).toBe('2');
    await advance(2000);
    expect((await answer).platform.id).toBe(2);
    expect(pending(tabs[0]!)).toBeNull();
    expect(tabs.map(told)).toEqual([[2], [2]]);
    expect(switches(tabs[0]!)).toHaveLength(1);
  });

  test('that the server refuses is taken back, with the server’s words', async () => {
    const { server, tabs } = await signedIn(2);
    server.refused = { error: 'Too many switches', error_code: 'RATE_LIMITED' };
    const refused = tabs[0]!.sync.switchPlatform(2).catch((error) => error);
    expect(pending(tabs[0]!)).toEqual({ id: 2 });
    await advance(100);
    expect(await refused).toMatchObject({ message: 'Too many switches', code: 'RATE_LIMITED' });
    expect(pending(tabs[0]!)).toBeNull();
    expect(await postsAs(tabs[0]!)).toBe('1');
    expect(tabs.map(told)).toEqual([[], []]);
  });

  test('that cannot be sent is taken back too', async () => {
    const { server, tabs } = await signedIn(1);
    server.down = 'network';
    const failed = tabs[0]!.sync.switchPlatform(2).catch((error) => error);
    await advance(50);
    expect(await failed).toMatchObject({ name: 'SessionNetworkError' });
    expect(pending(tabs[0]!)).toBeNull();
  });

  test('made twice runs once', async () => {
    const { tabs } = await signedIn(1);
    const [one, two] = [tabs[0]!.sync.switchPlatform(2), tabs[0]!.sync.switchPlatform('2')];
    await advance(100);
    expect(await one).toBe(await two);
    expect(switches(tabs[0]!)).toHaveLength(1);
  });

  test('the newest replaces the one that waits; nothing runs twice', async () => {
    const { server, tabs } = await signedIn(2);
    server.latency = 200;
    const answers = [2, 3, 4, 5, 4].map((id) => tabs[0]!.sync.switchPlatform(id));
    expect(pending(tabs[0]!)).toEqual({ id: 4 });
    await advance(3000);
    expect((await Promise.all(answers)).map(({ platform }) => platform.id)).toEqual([2, 4, 4, 4, 4]);
    expect(switches(tabs[0]!)).toEqual(['/api/switch_platform/2', '/api/switch_platform/4']);
    expect(tabs.map((tab) => tab.platform)).toEqual([4, 4]);
  });

  test('to and fro while one runs ends where it began, without another request', async () => {
    const { server, tabs } = await signedIn(1);
    server.latency = 200;
    for (const id of [2, 3, 2]) void tabs[0]!.sync.switchPlatform(id);
    await advance(3000);
    expect(switches(tabs[0]!)).toEqual(['/api/switch_platform/2']);
    expect(tabs[0]!.platform).toBe(2);
    // Afterwards the same choice is a new one: another tab may have switched.
    void tabs[0]!.sync.switchPlatform(2);
    await advance(1000);
    expect(switches(tabs[0]!)).toHaveLength(2);
  });

  test('after a refused one runs all the same', async () => {
    const { server, tabs } = await signedIn(1);
    server.latency = 200;
    const refused = tabs[0]!.sync.switchPlatform(99).catch((error) => error.status);
    const next = tabs[0]!.sync.switchPlatform(3);
    await advance(2000);
    expect(await refused).toBe(404);
    expect((await next).platform.id).toBe(3);
    expect(tabs[0]!.platform).toBe(3);
  });
});

describe('what a tab shows is what it acts as', () => {
  test('lesson 33: a switch whose message is 10 s late: each tab posts as what it showed', async () => {
    const { browser, tabs } = await signedIn(2);
    const leader = browser.leader!;
    const other = tabs.find((tab) => tab !== leader)!;
    // The leader lives, but what it says of the switch is late.
    browser.carry = (message: any) => {
      if (message.type === 'alive') message.stamp = '1.1.1';
      return [/alive|ping/.test(message.type) ? 1 : 10_000];
    };
    void leader.sync.switchPlatform(2);
    await advance(5000);
    expect(leader.platform).toBe(2);
    expect(other.platform).toBe(1);
    expect(await postsAs(leader)).toBe('2');
    expect(await postsAs(other)).toBe('1');
    await advance(6000);
    expect(other.platform).toBe(2);
    expect(await postsAs(other)).toBe('2');
  });

  test.each([502, 503, 504])('a %d of the application is handed over, and the session asked after', async (status) => {
    const { server, tabs } = await signedIn(2);
    server.overrides.set('/posts', () => ({ status, body: { error: 'later' } }));
    const before = server.count('/api/session_state');
    const [response] = await Promise.all([tabs[0]!.sync.fetch('/posts'), advance(100)]);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: 'later' });
    expect(server.count('/api/session_state') - before).toBe(1);
    for (const tab of tabs) expect(tab.of('sessionExpired')).toEqual([]);
  });

  test('a 503 of the session is an outage, from which the tab recovers by itself', async () => {
    const { browser, server } = await signedIn(2);
    const leader = browser.leader!;
    server.down = 503;
    const [response] = await Promise.all([leader.sync.fetch('/posts'), advance(100)]);
    expect(response.status).toBe(503);
    expect(leader.status).toBe('reconnecting');
    server.down = false;
    await advance(2000);
    expect(leader.status).toBe('live');
  });
});

describe('a pin', () => {
  const pinnedTab = async () => {
    const world = await signedIn(3);
    await Promise.all([world.tabs[1]!.sync.pinPlatform(3), advance(50)]);
    return { ...world, pinned: world.tabs[1]!, others: [world.tabs[0]!, world.tabs[2]!] };
  };

  test('keeps a tab with its platform while others follow', async () => {
    const { server, session, pinned, others } = await pinnedTab();
    expect(told(pinned)).toEqual([3]);
    expect(pinned.sync.getSnapshot()).toMatchObject({ pinned: true, state: { platform: { id: 3, name: 'Platform 3', type: 'pixelfed' } } });
    server.switchTo(session, 2);
    await advance(100);
    expect(others.map((tab) => tab.platform)).toEqual([2, 2]);
    expect(told(pinned)).toEqual([3]);
    // The page is told of the state as this tab has it.
    expect(pinned.platform).toBe(3);
    expect(await postsAs(pinned)).toBe('3');
    expect(await postsAs(others[0]!)).toBe('2');
  });

  test('survives a reload, and nothing of it is the other tabs’', async () => {
    const { browser, pinned, others } = await pinnedTab();
    pinned.navigateAway();
    const next = browser.open();
    for (const [key, value] of pinned.session) next.session.set(key, value);
    const { SessionSync } = await import('../src/index.js');
    const sync = new SessionSync(next.scope);
    sync.init();
    await advance(100);
    expect(sync.getSnapshot()).toMatchObject({ pinned: true, state: { platform: { id: 3 } } });
    expect(others.map((tab) => tab.sync.getSnapshot().pinned)).toEqual([false, false]);
    expect(pinned.session.get('vedfolnir_pin')).not.toContain('token');
  });

  test('is gone with unpinPlatform: the tab shows the session’s platform and says so', async () => {
    const { server, session, pinned } = await pinnedTab();
    server.switchTo(session, 2);
    await advance(100);
    pinned.sync.unpinPlatform();
    expect(told(pinned)).toEqual([3, 2]);
    expect(await postsAs(pinned)).toBe('2');
    expect(pinned.session.has('vedfolnir_pin')).toBe(false);
  });

  test('gives way to a switch in its own tab', async () => {
    const { pinned } = await pinnedTab();
    void pinned.sync.switchPlatform(4);
    await advance(200);
    expect(told(pinned)).toEqual([3, 4]);
    expect(pinned.sync.getSnapshot().pinned).toBe(false);
  });

  test('is dropped with a message when the account is gone', async () => {
    const { server, session, pinned } = await pinnedTab();
    server.platforms = [1, 2];
    session.rev++;
    server.emit(session, 'state', server.stateOf(session));
    await advance(200);
    expect(pinned.sync.getSnapshot()).toMatchObject({ pinned: false, state: { platform: { id: 1 } } });
    expect(told(pinned)).toEqual([3, 1]);
    expect(pinned.errors.map(({ message }) => message)).toEqual([
      'Platform 3 is not yours any more: this tab follows the others again.',
    ]);
  });

  test('stays while nobody can tell', async () => {
    const { server, session, pinned } = await pinnedTab();
    server.overrides.set('/api/user_platforms', () => ({ status: 503 }));
    session.rev++;
    server.emit(session, 'state', server.stateOf(session));
    await advance(500);
    expect(pinned.sync.getSnapshot().pinned).toBe(true);
    expect(pinned.errors).toEqual([]);
  });

  test('to a platform of somebody else is refused', async () => {
    const { tabs } = await signedIn(1);
    const refused = tabs[0]!.sync.pinPlatform(99).catch((error) => error);
    await advance(50);
    expect(await refused).toMatchObject({ name: 'SessionRefusedError', status: 404 });
    expect(tabs[0]!.sync.getSnapshot().pinned).toBe(false);
  });

  test('is nobody else’s: another person in this tab follows the session', async () => {
    const { browser, server, pinned } = await pinnedTab();
    server.signIn('bob-1', 8, 'bob', 2);
    browser.cookie = 'bob-1';
    const next = browser.open();
    for (const [key, value] of pinned.session) next.session.set(key, value);
    const { SessionSync } = await import('../src/index.js');
    const sync = new SessionSync(next.scope);
    sync.init();
    await advance(100);
    expect(sync.getSnapshot()).toMatchObject({ pinned: false, state: { platform: { id: 2 } } });
  });

  test('goes with signing out', async () => {
    const { pinned } = await pinnedTab();
    void pinned.sync.signOut();
    await advance(100);
    expect(pinned.session.has('vedfolnir_pin')).toBe(false);
  });
});
