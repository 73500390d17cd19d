// Real tabs of one session, in a real browser.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { arrives, browser, heard, hears, live, openTab, Server, shown, shows, signIn, status, switchTo, tabs, until } from '../harness.mjs';

let chromium, server;
before(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
});

const context = () => chromium.newContext();

describe('switching the platform', () => {
  test('shows in every tab, without a reload', async () => {
    const [one, two, three] = await tabs(await context(), server, 3);
    await two.evaluate(() => (window.notReloaded = true));
    await switchTo(one, 'My Mastodon');
    await Promise.all([one, two, three].map((tab) => shows(tab, 'My Mastodon')));
    assert.equal(await two.evaluate(() => window.notReloaded), true);
  });

  test('is told once in each tab, the switching one included', async () => {
    const list = await tabs(await context(), server, 3);
    await list[0].evaluate(() => window.sessionSync.switchPlatform(document.querySelector('[data-platform-id]:not([aria-current])').dataset.platformId));
    await Promise.all(list.map((tab) => hears(tab, 'platformSwitched')));
    await list[2].evaluate(() => window.sessionSync.syncSessionState());
    for (const tab of list) {
      const [event, ...more] = await heard(tab, 'platformSwitched');
      assert.equal(more.length, 0);
      assert.ok(event.detail.platformId && event.detail.platformName && event.detail.platformType && event.detail.stamp);
    }
  });

  test('does not touch another browser of the same person, which sees the list of sessions grow', async () => {
    const [here] = await tabs(await context(), server, 1);
    const platform = await shown(here);
    const there = await signIn(await context(), server);
    await live(there);
    await switchTo(there, 'Work');
    await shows(there, 'Work');
    assert.equal(await shown(here), platform);
    await here.waitForFunction(() => document.querySelectorAll('[data-sessions] [data-session-id]').length > 1);
  });

  test('Lesson 4: a poll that left before the switch does not put the old platform back', async () => {
    const [one, two] = await tabs(await context(), server, 2);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await two.route('**/api/session_state', async (route) => {
      const answer = await route.fetch(); // the server has answered with the old platform
      await held;
      await route.fulfill({ response: answer });
    });
    const late = two.evaluate(() => window.sessionSync.syncSessionState());
    await switchTo(one, 'Work');
    await shows(two, 'Work');
    release();
    await late;
    assert.equal(await shown(two), 'Work');
    const server_ = await one.evaluate(() => fetch('/api/session_state').then((r) => r.json()));
    assert.equal(server_.platform.name, 'Work');
  });
});

describe('the leading tab', () => {
  const leaders = async (list) => Promise.all(list.map((tab) =>
    tab.evaluate(() => performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/session/events')).length)));

  for (const [how, end] of [
    ['is closed', (tab) => tab.close()],
    ['navigates away', (tab) => tab.goto('about:blank')],
    ['crashes', async (tab) => {
      const cdp = await tab.context().newCDPSession(tab);
      const gone = new Promise((resolve) => tab.on('crash', resolve));
      cdp.send('Page.crash').catch(() => {});
      await gone;
    }],
  ]) {
    test(`${how}, and another takes over without losing an event`, async () => {
      const list = await tabs(await context(), server, 3);
      const [first] = list;
      await end(first);
      const other = await signInAgain(list[1]);
      await switchOver(other, 'Work');
      await Promise.all(list.slice(1).map((tab) => shows(tab, 'Work')));
      await Promise.all(list.slice(1).map(live));
    });
  }

  test('holds the only stream', async () => {
    const list = await tabs(await context(), server, 4);
    const open = await leaders(list);
    assert.ok(open.filter((n) => n > 0).length <= 1, `streams in ${open}`);
  });

  // A request of the same session that no tab of the browser made.
  async function signInAgain(tab) {
    const cookies = await tab.context().cookies();
    const { csrf_token } = await tab.evaluate(() => fetch('/api/csrf').then((r) => r.json()));
    const { platforms } = await tab.evaluate(() => fetch('/api/user_platforms').then((r) => r.json()));
    return { cookie: cookies.map((c) => `${c.name}=${c.value}`).join('; '), csrf_token, platforms };
  }

  async function switchOver({ cookie, csrf_token, platforms }, name) {
    const { id } = platforms.find((p) => p.name === name);
    const answer = await fetch(`${server.url}/api/switch_platform/${id}`, {
      method: 'POST', headers: { cookie, 'X-CSRFToken': csrf_token, 'Content-Type': 'application/json' },
    });
    assert.equal(answer.status, 200);
  }
});

describe('the end of a session', () => {
  test('Lesson 27: signing out in one tab leaves none behind', async () => {
    const list = await tabs(await context(), server, 3);
    await list[0].click('form[action="/logout"] button');
    await Promise.all(list.map((tab) => arrives(tab, '/login')));
    for (const tab of list.slice(1)) {
      await tab.waitForSelector('#username');
      assert.deepEqual(await tab.evaluate(() => Object.keys(localStorage).filter((k) => k.startsWith('vedfolnir_'))), []);
    }
  });

  test('signing in as another person reloads the other tabs', async () => {
    const [one, two] = await tabs(await context(), server, 2);
    await two.evaluate(() => (window.notReloaded = true));
    await one.evaluate(async () => {
      const { csrf_token } = await (await fetch('/api/csrf')).json();
      const answer = await fetch('/login', {
        method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRFToken': csrf_token },
        body: JSON.stringify({ username: 'sam', password: 'vedfolnir-demo' }),
      });
      if (!answer.ok) throw new Error(`sign-in: ${answer.status}`);
    });
    await two.waitForFunction(() => document.querySelector('[data-session-user]')?.textContent === 'sam');
    assert.equal(await two.evaluate(() => window.notReloaded), undefined);
  });

  test('ended from another browser, it says so in each tab once', async () => {
    const [here, beside] = await tabs(await context(), server, 2);
    const there = await signIn(await context(), server);
    const events = [];
    for (const tab of [here, beside]) {
      await tab.exposeFunction('told', (reason) => events.push(reason));
      await tab.evaluate(() => window.addEventListener('sessionExpired', (e) => window.told(e.detail.reason)));
    }
    await there.click('form[action="/sessions/end-others"] button');
    await Promise.all([here, beside].map((tab) => arrives(tab, '/login')));
    await until(() => events.length >= 2, () => `told only ${events}`);
    assert.deepEqual(events, ['revoked_by_user', 'revoked_by_user']);
  });

  test('Lesson 12: an expiry is noticed by each tab once, without a redirect loop', async () => {
    const short = await Server.start({
      SESSION_IDLE_TIMEOUT_SECONDS: '3', SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS: '1', SESSION_HEARTBEAT_INTERVAL_SECONDS: '1',
    });
    const c = await context();
    const list = await tabs(c, short, 2);
    const told = [], visits = [];
    for (const tab of list) {
      await tab.exposeFunction('told', (reason) => told.push(reason));
      await tab.evaluate(() => window.addEventListener('sessionExpired', (e) => window.told(e.detail.reason)));
      tab.on('framenavigated', (frame) => visits.push(frame.url()));
    }
    await Promise.all(list.map((tab) => arrives(tab, '/login')));
    await new Promise((resolve) => setTimeout(resolve, 1000)); // room for a loop to show itself
    assert.deepEqual(told, ['idle_timeout', 'idle_timeout']);
    assert.equal(visits.length, 2, visits.join(' '));
  });

  test('Lesson 13: ten tabs and a 401 make a bounded number of requests and events', async () => {
    const c = await context();
    const list = await tabs(c, server, 10);
    let requests = 0;
    c.on('request', (r) => { if (r.url().includes('/api/')) requests++; });
    const told = [];
    for (const tab of list) {
      await tab.exposeFunction('told', () => told.push(1));
      await tab.evaluate(() => window.addEventListener('sessionExpired', () => window.told()));
    }
    const { session } = await list[0].evaluate(() => fetch('/api/session_state').then((r) => r.json()));
    requests = 0;
    await c.clearCookies();
    await list[0].evaluate((id) => (window.ended = id, window.sessionSync.syncSessionState()), session.session_id).catch(() => {});
    await Promise.all(list.map((tab) => arrives(tab, '/login')));
    await new Promise((resolve) => setTimeout(resolve, 500)); // room for an echo to show itself
    assert.equal(told.length, 10);
    assert.ok(requests <= 40, `${requests} requests`);
  });
});

describe('a server that cannot be reached', () => {
  test('killed and started again: reconnecting, nobody signed out, right within 2 s', async () => {
    const mortal = await Server.start();
    const list = await tabs(await context(), mortal, 3);
    await mortal.kill();
    await Promise.all(list.map((tab) => status(tab, 'reconnecting')));
    await mortal.up();
    const back = Date.now();
    await Promise.all(list.map(live));
    const took = Date.now() - back;
    assert.ok(took < 2000, `live after ${took} ms`);
    for (const tab of list) assert.equal(new URL(tab.url()).pathname, '/');
    await switchTo(list[1], 'Work');
    await Promise.all(list.map((tab) => shows(tab, 'Work')));
  });

  test('a restored backup: open tabs take what it holds, and nobody is signed out', async () => {
    const restored = await Server.start();
    const list = await tabs(await context(), restored, 2);
    const copy = restored.backup();
    await switchTo(list[0], 'Work');
    await Promise.all(list.map((tab) => shows(tab, 'Work')));
    await restored.restore(copy);
    await Promise.all(list.map((tab) => shows(tab, 'My Pixelfed')));
    await Promise.all(list.map(live));
    for (const tab of list) assert.equal((await heard(tab, 'sessionExpired')).length, 0);
    await switchTo(list[1], 'My Mastodon');
    await Promise.all(list.map((tab) => shows(tab, 'My Mastodon')));
  });

  test('offline and online again', async () => {
    const c = await context();
    const list = await tabs(c, server, 2);
    await c.setOffline(true);
    await Promise.all(list.map((tab) => tab.waitForFunction(() =>
      ['offline', 'reconnecting'].includes(window.heard.findLast((e) => e.name === 'sessionSyncStatus')?.detail.status))));
    await c.setOffline(false);
    await Promise.all(list.map(live));
    for (const tab of list) assert.equal((await heard(tab, 'sessionExpired')).length, 0);
  });

  test('503 signs nobody out', async () => {
    const c = await context();
    const [tab] = await tabs(c, server, 1);
    await c.route('**/api/**', (route) => route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, json: { success: false, error: 'x', error_code: 'UNAVAILABLE' } }));
    await tab.evaluate(() => window.sessionSync.syncSessionState());
    assert.equal(new URL(tab.url()).pathname, '/');
    assert.equal((await heard(tab, 'sessionExpired')).length, 0);
    await c.unroute('**/api/**');
    assert.ok(await tab.evaluate(() => window.sessionSync.syncSessionState()));
  });
});

describe('where a part of the browser is missing', () => {
  for (const part of ['EventSource', 'BroadcastChannel', 'locks']) {
    test(`without ${part} the tabs still follow`, async () => {
      const c = await context();
      await c.addInitScript((name) => {
        if (name === 'locks') Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
        else window[name] = undefined;
      }, part);
      const one = await signIn(c, server);
      const two = await openTab(c, `${server.url}/`);
      await switchTo(one, 'Work');
      await Promise.all([one, two].map((tab) => shows(tab, 'Work')));
    });
  }
});

describe('what the page shows', () => {
  test('a platform\'s name is text, whatever it holds', async () => {
    const named = await Server.start();
    const name = '<img src=x onerror="window.hacked=1">';
    const { execFileSync } = await import('node:child_process');
    execFileSync('python3', ['-c',
      'import sqlite3,sys; c=sqlite3.connect(sys.argv[1], timeout=10); c.execute("UPDATE directory_platforms SET name=? WHERE name=\'Work\'", (sys.argv[2],)); c.commit()',
      named.database, name]);
    const list = await tabs(await context(), named, 2);
    await list[0].click(`[data-platforms] li:nth-child(3) form button`);
    await Promise.all(list.map((tab) => shows(tab, name)));
    for (const tab of list) {
      assert.equal(await tab.evaluate(() => window.hacked), undefined);
      assert.equal(await tab.locator('main img').count(), 0);
    }
  });

  test('the timeline says which tab heard what', async () => {
    const list = await tabs(await context(), server, 2);
    await switchTo(list[0], 'Work');
    for (const tab of list) {
      await tab.waitForFunction(() => [...document.querySelectorAll('[data-timeline] li')].some((li) => /platform_switched|switched/i.test(li.textContent) && /\d+(\.\d+)? ms/.test(li.textContent)));
    }
  });

  test('the time left counts down', async () => {
    const [tab] = await tabs(await context(), server, 1);
    await tab.waitForFunction(() => document.querySelector('[data-session-expires]').textContent);
    const first = await tab.textContent('[data-session-expires]');
    await tab.waitForFunction((was) => document.querySelector('[data-session-expires]').textContent !== was, first);
    assert.match(first, /^\d+:\d\d:\d\d$/);
  });
});

test('Lesson 41: coming back to a window asks at most once', async () => {
  const c = await context();
  const [tab] = await tabs(c, server, 1);
  let requests = 0;
  c.on('request', (r) => { if (r.url().includes('/api/session_state')) requests++; });
  await tab.evaluate(() => {
    window.dispatchEvent(new Event('focus'));
    document.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(new Event('focus'));
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(requests <= 1, `${requests} requests`);
});

test('Lesson 2: a session whose row is gone is over in the browser too', async () => {
  const [tab] = await tabs(await context(), server, 1);
  const { execFileSync } = await import('node:child_process');
  const { session } = await tab.evaluate(() => fetch('/api/session_state').then((r) => r.json()));
  const tables = execFileSync('python3', ['-c',
    'import sqlite3,sys; c=sqlite3.connect(sys.argv[1], timeout=10); n=c.execute("DELETE FROM sessions WHERE id=?", (bytes.fromhex(sys.argv[2]),)).rowcount; c.commit(); print(n)',
    server.database, session.session_id]).toString().trim();
  assert.equal(tables, '1');
  await tab.reload();
  await until(async () => new URL(tab.url()).pathname === '/login', 'the tab still shows the page');
});
