// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, Browser, signedIn, type Tab } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

const done = async <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => {});
  await advance(1000);
  return promise;
};
const sent = (tab: Tab) => {
  const { headers, ...request } = tab.browser.server.requests.at(-1)!;
  return { method: request.method, path: request.path, headers: Object.fromEntries(headers) };
};

describe('sessionSync.fetch', () => {
  test('lesson 33: acts as the platform that the tab shows, not as the session’s', async () => {
    const { browser, server, session, tabs } = await signedIn(2);
    browser.carry = () => [];
    const [leader, other] = browser.leader === tabs[0] ? tabs : [...tabs].reverse();
    server.switchTo(session, 2);
    await advance(20);
    const platforms = [];
    const shown = other!.platform;
    for (const tab of [leader!, other!]) {
      await Promise.all([tab.sync.fetch('/posts', { method: 'POST', body: '{}' }), advance(50)]);
      platforms.push(server.requests.findLast(({ path }) => path === '/posts')!.headers.get('X-Platform-Id'));
    }
    expect(platforms[0]).toBe('2');
    expect(platforms[1]).toBe(String(shown));
  });

  test('adds what an unsafe request needs, and keeps what the caller gave', async () => {
    const { tabs } = await signedIn(1);
    await done(
      tabs[0]!.sync.fetch('/posts/1', { method: 'DELETE', headers: { 'X-Mine': '1', 'X-Platform-Id': '5' } }),
    );
    expect(sent(tabs[0]!)).toEqual({
      method: 'DELETE',
      path: '/posts/1',
      headers: {
        'x-csrftoken': 'token-1',
        'x-mine': '1',
        'x-platform-id': '5',
        'x-requested-with': 'XMLHttpRequest',
      },
    });
  });

  test('a safe request carries no token', async () => {
    const { tabs } = await signedIn(1);
    await done(tabs[0]!.sync.fetch('/posts'));
    expect(sent(tabs[0]!).headers).toEqual({ 'x-platform-id': '1', 'x-requested-with': 'XMLHttpRequest' });
  });

  test.for(['/api/session_state', '/api/session/validate', '/api/sessions', '/api/switch_platform/2'])(
    '%s speaks of the session’s platform, so none is stated',
    async (path) => {
      const { server, tabs } = await signedIn(1);
      await done(tabs[0]!.sync.fetch(path, { method: 'POST' }));
      const request = server.requests.findLast((request) => request.path === path)!;
      expect(request.headers.has('X-Platform-Id')).toBe(false);
    },
  );

  test('/api/session_notes is the application’s', async () => {
    const { tabs } = await signedIn(1);
    await done(tabs[0]!.sync.fetch('/api/session_notes'));
    expect(sent(tabs[0]!).headers['x-platform-id']).toBe('1');
  });

  test.for(['https://evil.test/', '//evil.test/x', 'http://app.test:81/'])(
    'carries nothing of ours to %s',
    async (url) => {
      const { tabs } = await signedIn(1);
      const seen: unknown[] = [];
      (tabs[0]!.scope as any).fetch = async (...call: unknown[]) => seen.push(call);
      await done(tabs[0]!.sync.fetch(url, { method: 'POST', headers: { 'X-Mine': '1' } }));
      expect(seen).toEqual([[url, { method: 'POST', headers: { 'X-Mine': '1' } }]]);
    },
  );

  test('takes a Request', async () => {
    const { tabs } = await signedIn(1);
    const seen: any[] = [];
    (tabs[0]!.scope as any).fetch = async (input: Request, init: RequestInit) => {
      seen.push([input.url, await input.text(), Object.fromEntries(init.headers as Headers), init.mode]);
      return new Response('{}');
    };
    const request = new Request('http://app.test/posts', { method: 'PUT', body: 'x', headers: { 'X-Mine': '1' } });
    await done(tabs[0]!.sync.fetch(request));
    expect(seen).toEqual([
      [
        'http://app.test/posts',
        'x',
        expect.objectContaining({ 'x-csrftoken': 'token-1', 'x-mine': '1', 'x-platform-id': '1' }),
        'same-origin',
      ],
    ]);
  });

  test('waits for the first answer, because until then nobody knows what the tab shows', async () => {
    const browser = new Browser();
    browser.server.signIn('x', 7, 'ada', 4);
    browser.cookie = 'x';
    const tab = browser.open();
    tab.sync.init();
    await done(tab.sync.fetch('/posts'));
    const request = browser.server.requests.find(({ path }) => path === '/posts')!;
    expect(request.headers.get('X-Platform-Id')).toBe('4');
  });

  test('lesson 12: a 401 makes the session’s end known at once', async () => {
    const { server, session, tabs } = await signedIn(3);
    session.endedBecause = ['SESSION_EXPIRED', 'lifetime'];
    const response = await done(tabs[1]!.sync.fetch('/posts'));
    expect(response.status).toBe(401);
    for (const tab of tabs) expect(tab.of('sessionExpired')).toMatchObject([{ reason: 'lifetime' }]);
    expect(server.streams.size).toBe(0);
  });
});

describe('CSRF', () => {
  test('a stale token is renewed, kept in the page, and the request repeated once', async () => {
    const { server, tabs } = await signedIn(1);
    server.token = 'token-2';
    const answer = await done(tabs[0]!.sync.switchPlatform(2));
    expect(answer.platform.id).toBe(2);
    expect(tabs[0]!.token).toBe('token-2');
    expect(server.count('/api/switch_platform/2')).toBe(2);
  });

  test('and not more than once', async () => {
    const { server, tabs } = await signedIn(1);
    server.overrides.set('/api/switch_platform/2', () => ({ status: 403, body: { error_code: 'CSRF_STALE' } }));
    await expect(done(tabs[0]!.sync.switchPlatform(2))).rejects.toMatchObject({ code: 'CSRF_STALE' });
    expect(server.count('/api/switch_platform/2')).toBe(2);
  });

  test('and not at all when somebody else has signed in', async () => {
    const { browser, server, tabs } = await signedIn(1);
    server.token = 'token-2';
    server.signIn('bob-1', 8, 'bob');
    browser.cookie = 'bob-1';
    await expect(done(tabs[0]!.sync.switchPlatform(2))).rejects.toMatchObject({ code: 'CSRF_STALE' });
    expect(server.count('/api/switch_platform/2')).toBe(1);
    expect(tabs[0]!.reloads).toBe(1);
    // Nor by a second click, while the page is still there.
    await expect(done(tabs[0]!.sync.switchPlatform(2))).rejects.toMatchObject({ code: 'CSRF_STALE' });
    expect(server.count('/api/switch_platform/2')).toBe(2);
    expect(tabs[0]!.reloads).toBe(1);
  });

  test('and not when nobody can tell who is signed in', async () => {
    const { server, tabs } = await signedIn(1);
    server.token = 'token-2';
    server.overrides.set('/api/session_state', () => ({ status: 503 }));
    await expect(done(tabs[0]!.sync.switchPlatform(2))).rejects.toMatchObject({ code: 'CSRF_STALE' });
    expect(server.count('/api/switch_platform/2')).toBe(1);
  });

  test('a token that is merely wrong is not tried again', async () => {
    const { server, tabs } = await signedIn(1);
    server.overrides.set('/posts', () => ({ status: 403, body: { error_code: 'CSRF_INVALID' } }));
    expect((await done(tabs[0]!.sync.fetch('/posts', { method: 'POST' }))).status).toBe(403);
    expect(server.count('/posts')).toBe(1);
  });

  test('a page without a token gets one', async () => {
    const { server, tabs } = await signedIn(1);
    tabs[0]!.token = '';
    await done(tabs[0]!.sync.switchPlatform(2));
    expect(server.count('/api/csrf')).toBe(1);
    expect(tabs[0]!.token).toBe('token-1');
  });
});

describe('never rejects', () => {
  const failures: [string, (tab: Tab) => void][] = [
    ['no network', ({ browser }) => (browser.server.down = 'network')],
    ['503', ({ browser }) => (browser.server.down = 503)],
    ['a page', ({ browser }) => (browser.server.down = 'html')],
    ['no answer at all', ({ scope }) => void ((scope as any).fetch = () => undefined)],
    ['a fetch that throws', ({ scope }) => void ((scope as any).fetch = () => { throw new Error('x'); })],
    ['an answer that cannot be read', ({ scope }) => void ((scope as any).fetch = async () => ({ ok: true }))],
    ['null', ({ scope }) => void ((scope as any).fetch = async () => ({ ok: true, json: async () => null }))],
    ['success: false', ({ scope }) => void ((scope as any).fetch = async () => ({ ok: true, json: async () => ({ success: false }) }))],
  ];
  test.for(failures)('%s', async ([, fail]) => {
    const { tabs } = await signedIn(1);
    fail(tabs[0]!);
    expect(await done(tabs[0]!.sync.syncSessionState())).toBeNull();
    expect(await done(tabs[0]!.sync.validateSession())).toBe(false);
    expect(tabs[0]!.of('sessionExpired')).toEqual([]);
    expect(tabs[0]!.errors).toHaveLength(1);
    expect(tabs[0]!.errors[0].context).toBe('session');
  });

  test('validateSession says what the server says, for one request without a token', async () => {
    const { server, session, tabs } = await signedIn(1);
    tabs[0]!.token = '';
    const before = server.requests.length;
    expect(await done(tabs[0]!.sync.validateSession())).toBe(true);
    expect(server.requests.length - before).toBe(1);
    server.overrides.set('/api/session/validate', () => ({ status: 200, body: { valid: false } }));
    expect(await done(tabs[0]!.sync.validateSession())).toBe(false);
    server.overrides.clear();
    session.endedBecause = ['SESSION_ENDED', 'revoked_by_admin'];
    expect(await done(tabs[0]!.sync.validateSession())).toBe(false);
    expect(tabs[0]!.of('sessionExpired')).toMatchObject([{ reason: 'revoked_by_admin' }]);
  });

  test('a request that gets no answer is given up after ten seconds', async () => {
    const { tabs } = await signedIn(1);
    (tabs[0]!.scope as any).fetch = (_: string, { signal }: RequestInit) =>
      new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    const state = tabs[0]!.sync.syncSessionState();
    await advance(10_001);
    expect(await state).toBeNull();
  });
});

test('an answer without session and stamp is enough', async () => {
  const browser = new Browser();
  const tab = browser.open(['EventSource', 'locks', 'BroadcastChannel']);
  let platform = { id: 456, name: 'Test Platform' };
  (tab.scope as any).fetch = async () => ({
    ok: true,
    json: async () => ({ success: true, user: { id: 123 }, platform }),
  });
  tab.sync.init();
  await advance(10_000);
  expect(tab.of('sessionStateChanged')).toHaveLength(1);
  platform = { id: 457, name: 'Another' };
  await advance(2100);
  expect(tab.of('platformSwitched')).toMatchObject([{ platformId: 457, platformName: 'Another' }]);
});
