// Browsers on several servers that share one PostgreSQL database.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { arrives, browser, heard, live, nodes, openTab, shown, shows, signIn, switchTo, until, withoutNodes } from '../harness.mjs';

const PASSWORD = 'correct horse battery staple';
const [ONE, TWO] = ['My Pixelfed', 'My Mastodon'];

describe('two servers on PostgreSQL', { skip: process.env.CI !== 'true' && withoutNodes }, () => {
  let here, there, front, chromium;
  before(async () => {
    const [b, { servers, url }] = await Promise.all([browser(), nodes(2, [ONE, TWO], PASSWORD)]);
    chromium = b;
    [here, there] = servers;
    front = { url };
  });

  /** Two browsers that hold one session, the second of them at the other server. */
  async function both() {
    const [first, second] = [await chromium.newContext(), await chromium.newContext()];
    const one = await signIn(first, here, 'kim', PASSWORD);
    await second.addCookies(await first.cookies()); // which know no ports
    const two = await openTab(second, `${there.url}/`);
    await Promise.all([one, two].map(live));
    return [one, two];
  }

  test('a switch at one shows in the browser at the other, both ways', async () => {
    const [one, two] = await both();
    await two.evaluate(() => (window.notReloaded = true));
    const first = await shown(one);
    const second = first === ONE ? TWO : ONE;
    await switchTo(one, second);
    await shows(two, second);
    await switchTo(two, first);
    await shows(one, first);
    assert.equal(await two.evaluate(() => window.notReloaded), true);
  });

  test('a session that is ended at one leaves the browser at the other, and is told from where', async () => {
    const [one, two] = await both();
    const other = await signIn(await chromium.newContext(), there, 'kim', PASSWORD);
    await live(other);
    await one.waitForFunction(() => document.querySelectorAll('[data-sessions] [data-session-id]').length > 1);
    await other.evaluate(() => {
      const form = [...document.querySelectorAll('form')].find((f) => f.action.endsWith('/sessions/end-others'));
      form.querySelector('button').click();
    });
    for (const tab of [one, two]) {
      await arrives(tab, '/login');
      await until(async () => (await tab.textContent('body')).includes('You ended this session from'), 'the page does not say why');
    }
    assert.deepEqual(await heard(other, 'sessionExpired'), []);
  });

  test('both are restarted, one after the other, while people switch: nobody is signed out', async () => {
    const context = await chromium.newContext();
    const list = [await signIn(context, front, 'kim', PASSWORD)];
    while (list.length < 3) list.push(await openTab(context, `${front.url}/`));
    const alone = await signIn(await chromium.newContext(), front, 'kim', PASSWORD); // a session of its own
    await Promise.all([...list, alone].map(live));
    const refused = [];
    let going = true;
    const work = (async () => {
      for (let i = 0; going; i++) {
        const answer = await list[i % list.length].evaluate(async (id) => {
          const a = await window.sessionSync.fetch(`/api/switch_platform/${id}`, { method: 'POST' });
          return { status: a.status, text: a.ok ? '' : await a.text() };
        }, await list[0].evaluate((n) => document.querySelectorAll('[data-platform-id]')[n].dataset.platformId, i % 2));
        if (answer.status !== 200) refused.push(answer);
      }
    })();
    for (const server of [here, there]) {
      await server.kill('SIGTERM');
      await server.up();
    }
    going = false;
    await work;
    assert.deepEqual(refused, []);
    await Promise.all([...list, alone].map(live));
    for (const tab of [...list, alone]) {
      assert.deepEqual(await heard(tab, 'sessionExpired'), []);
      assert.equal(new URL(tab.url()).pathname, '/');
    }
    const now = await list[0].evaluate(() => fetch('/api/session_state').then((r) => r.json()));
    await Promise.all(list.map((tab) => shows(tab, now.platform.name)));
    await switchTo(alone, (await shown(alone)) === ONE ? TWO : ONE);
  });
});
