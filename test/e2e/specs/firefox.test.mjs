// What matters most, once more in Firefox, whose locks, channels, timers and streams are its own.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { firefox, missing } from '../firefox.mjs';
import { arrives, heard, hears, live, Server, shows, signIn, switchTo, tabs } from '../harness.mjs';

describe('in Firefox', { skip: missing }, () => {
  let browser, server;
  before(async () => {
    [browser, server] = await Promise.all([firefox(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
    assert.match(await browser.version(), /firefox/i);
  });

  // The tab whose lock has the same owner as one that is taken here.
  const leads = (tab) => tab.evaluate(() => navigator.locks.request(`mine ${Math.random()}`, async ({ name }) => {
    const { held } = await navigator.locks.query();
    const owner = (lock) => held.find((one) => one.name === lock)?.clientId;
    return owner(name) === owner('vedfolnir_session');
  }));

  test('a person signs in and is shown', async () => {
    const tab = await signIn(await browser.newContext(), server);
    await live(tab);
    assert.equal(await tab.textContent('[data-session-user]'), 'alex');
    await tab.waitForFunction(() => /^\d+:\d\d:\d\d$/.test(document.querySelector('[data-session-expires]').textContent));
  });

  test('a switch shows in every tab, without a reload, by one leader', async () => {
    const list = await tabs(await browser.newContext(), server, 3);
    await list[1].evaluate(() => (window.notReloaded = true));
    await switchTo(list[2], 'Work');
    await Promise.all(list.map((tab) => shows(tab, 'Work')));
    assert.equal(await list[1].evaluate(() => window.notReloaded), true);
    await Promise.all(list.map((tab) => hears(tab, 'platformSwitched'))); // who switches shows it before the server has agreed
    for (const tab of list) assert.equal((await heard(tab, 'platformSwitched')).length, 1);
    assert.equal((await Promise.all(list.map(leads))).filter(Boolean).length, 1);
  });

  test('signing out in one tab leaves none behind', async () => {
    const list = await tabs(await browser.newContext(), server, 2);
    await list[0].click('form[action="/logout"] button');
    await Promise.all(list.map((tab) => arrives(tab, '/login')));
    await list[1].waitForFunction(() => document.querySelector('#username'));
    assert.deepEqual(await list[1].evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('vedfolnir_'))), []);
  });

  test('what is ended in a terminal leaves every tab', async () => {
    const list = await tabs(await browser.newContext(), server, 2);
    const { session } = await list[0].evaluate(() => fetch('/api/session_state').then((answer) => answer.json()));
    const began = Date.now();
    server.command('session', 'revoke', session.session_id);
    await Promise.all(list.map((tab) => arrives(tab, '/login')));
    assert.ok(Date.now() - began < 5000, `after ${Date.now() - began} ms`);
  });

  test('the leading tab is closed, and another takes over', async () => {
    const list = await tabs(await browser.newContext(), server, 3);
    const leading = (await Promise.all(list.map(leads))).indexOf(true);
    assert.notEqual(leading, -1, 'no tab leads');
    await list[leading].close();
    list.splice(leading, 1);
    await switchTo(list[0], 'Work');
    await Promise.all(list.map((tab) => shows(tab, 'Work')));
    await Promise.all(list.map(live));
    await list[0].waitForFunction(() => navigator.locks.query().then(({ held }) => held.length === 1));
  });
});
