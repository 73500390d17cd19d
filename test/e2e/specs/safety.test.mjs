// What people are told of their account, as they see it.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { arrives, browser, live, openTab, Server, signIn, until } from '../harness.mjs';

let chromium, server;
before(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
});

const PHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';

const told = (tab) => tab.$$eval('.told > li', (lines) => lines.map((line) => line.innerText.replaceAll(/\s+/g, ' ')));
const news = (tab) => tab.evaluate(() => document.querySelector('.news')?.textContent ?? '');

async function guess(name, times) {
  const context = await chromium.newContext({ userAgent: PHONE });
  const tab = await openTab(context, `${server.url}/login`);
  for (let i = 0; i < times; i++) {
    await tab.fill('#username', name);
    await tab.fill('#password', 'wrong');
    await Promise.all([tab.waitForEvent('load'), tab.click('button.main')]); // not the answer before
    await tab.waitForSelector('[role=alert]');
  }
  await context.close();
}

describe('the page "Safety"', () => {
  test('shows in every open tab, of every device, what happens elsewhere, and forgets in all what was seen in one', async () => {
    const [here, there] = await Promise.all([chromium.newContext(), chromium.newContext()]);
    await signIn(here, server, 'alex');
    const open = [await openTab(here, `${server.url}/safety`), await openTab(here, `${server.url}/`)];
    await signIn(there, server, 'alex');
    open.push(await openTab(there, `${server.url}/safety`));
    await Promise.all(open.map(live));
    await until(async () => (await Promise.all(open.map(news))).every((n) => n === '1 new'), 'not every tab says that something is new');

    await guess('alex', 1);
    const guessed = Date.now();
    for (const tab of open) await tab.waitForFunction(() => document.querySelector('.news')?.textContent === '2 new', null, { polling: 20 });
    const took = Date.now() - guessed;
    assert.ok(took < 2000, `the last tab showed it after ${took} ms`);
    await guess('alex', 2);
    for (const tab of [open[0], open[2]]) {
      await until(async () => (await told(tab))[0]?.startsWith('3 failed attempts to sign in as you'), async () => `${await told(tab)}`);
      assert.match((await told(tab))[0], / New None of them got in\. Safari on iPhone, from 127\.0\.0\.1, just now/);
    }
    assert.match((await told(open[0]))[1], /^Signed in on a new device, 2 times New Chrome/);

    await open[2].click('text=Mark all as seen');
    for (const tab of open) await until(async () => (await news(tab)) === '', 'a tab still says that something is new');
    assert.equal(await open[0].locator('.told .new').count(), 0);
    await Promise.all([here.close(), there.close()]);
  });

  test('leads out of the danger without script: others end, the password changes', async () => {
    const context = await chromium.newContext({ javaScriptEnabled: false });
    const thief = await signIn(await chromium.newContext({ userAgent: PHONE }), server, 'sam');
    const tab = await signIn(context, server, 'sam');
    await tab.click('nav >> text=Safety');
    assert.match((await told(tab)).join(), /Signed in on a new device New Safari on iPhone/);
    await tab.click('text=End all others');
    await arrives(thief, '/login');
    assert.equal(new URL(tab.url()).pathname, '/safety');
    assert.match(await tab.textContent('[role=status].notice'), /All your other sessions have ended/);
    await tab.click('text=Change your password.');
    await tab.fill('#current', 'vedfolnir-demo');
    await tab.fill('#password', 'nine purple kettles whisper');
    await tab.fill('#again', 'nine purple kettles whisper');
    await tab.click('button.main');
    await tab.waitForURL('**/?done=*'); // or the next click would break off the form
    await tab.click('nav >> text=Safety');
    assert.match((await told(tab))[0], /^Your password was changed/);
    await thief.context().close();
    await context.close();
  });
});
