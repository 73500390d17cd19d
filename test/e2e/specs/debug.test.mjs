// The client from inside, as the page shows it at ?debug.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { before, describe, test } from 'node:test';
import { browser, live, openTab, Server, shows, signIn, switchTo, until } from '../harness.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the panel', () => {
  let chromium, server;
  before(async () => {
    [chromium, server] = await Promise.all([browser(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
  });

  /** A tab with the panel, one more, and one without. */
  async function opened(options) {
    const context = await chromium.newContext(options);
    await (await signIn(context, server)).close();
    const list = [];
    for (const path of ['/?debug', '/?debug', '/']) list.push(await openTab(context, server.url + path));
    await Promise.all(list.map(live));
    for (const tab of list.slice(0, 2)) await tab.locator('vedfolnir-debug h2').waitFor();
    return list;
  }

  test('shows the tabs of the browser, who leads, their stamps and the last events', async () => {
    const [one, two, three] = await opened();
    await switchTo(three, 'Work');
    await Promise.all([one, two, three].map((tab) => shows(tab, 'Work')));
    const stamp = await one.evaluate(() => window.sessionSync.getSnapshot().state.stamp);
    for (const tab of [one, two]) {
      const rows = tab.locator('vedfolnir-debug tbody tr');
      await tab.waitForFunction((wanted) => {
        const cells = [...document.querySelector('vedfolnir-debug').shadowRoot.querySelectorAll('tbody td')].map((cell) => cell.textContent);
        return cells.length === 12 && cells.filter((text) => text === wanted).length === 2;
      }, stamp);
      assert.equal(await rows.filter({ hasText: 'leader' }).count(), 1);
      assert.equal(await rows.filter({ hasText: 'this one' }).count(), 1);
      assert.equal(await rows.filter({ hasText: 'without a panel' }).count(), 1);
      await tab.locator('vedfolnir-debug li').filter({ hasText: 'platformSwitched' }).first().waitFor();
      assert.equal(await tab.locator('vedfolnir-debug .status').textContent(), 'live');
    }
    await two.close();
    await one.waitForFunction(() => document.querySelector('vedfolnir-debug').shadowRoot.querySelectorAll('tbody tr').length === 2);
  });

  test('is loaded only where it is asked for, by a link on the page', async () => {
    const tab = await signIn(await chromium.newContext(), server);
    await live(tab);
    assert.equal(await tab.evaluate(() => !!customElements.get('vedfolnir-debug')), false);
    await tab.click('footer a');
    await tab.locator('vedfolnir-debug h2').waitFor();
    assert.equal(new URL(tab.url()).search, '?debug');
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`has no fault that axe can find, and fits 320 px, in ${colorScheme}`, async () => {
      const [tab] = await opened({ colorScheme });
      for (const width of [1280, 320]) {
        await tab.setViewportSize({ width, height: 800 });
        await tab.evaluate(axe);
        const { violations } = await tab.evaluate(() => window.axe.run('vedfolnir-debug'));
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((n) => n.target)]), []);
        const box = await tab.locator('vedfolnir-debug').boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
      }
    });
  }

  test('works by keyboard, and Escape closes it', async () => {
    const [tab] = await opened();
    await tab.locator('vedfolnir-debug input').focus();
    await tab.keyboard.press('Space');
    assert.equal(await tab.evaluate(() => window.sessionSync.debugMode), true);
    await tab.keyboard.press('Escape');
    await tab.locator('vedfolnir-debug').waitFor({ state: 'detached' });
    const panels = async () => (await tab.evaluate(() => navigator.locks.query())).held.filter(({ name }) => name.startsWith('vedfolnir_panel'));
    await until(async () => (await panels()).length === 1, 'only the other tab has a panel');
  });

  test('needs no exception in the content policy, and holds no secret', async () => {
    const [tab] = await opened();
    const said = [];
    await tab.exposeFunction('refused', (what) => said.push(what));
    await tab.evaluate(() => document.addEventListener('securitypolicyviolation', (event) => window.refused(`${event.violatedDirective} ${event.blockedURI}`)));
    tab.on('console', (message) => said.push(message.text()));
    await tab.locator('vedfolnir-debug input').click();
    await switchTo(tab, 'My Mastodon');
    await shows(tab, 'My Mastodon');
    await tab.locator('vedfolnir-debug button', { hasText: 'Ask the server' }).click();
    const text = await tab.evaluate(() => document.querySelector('vedfolnir-debug').shadowRoot.textContent);
    await until(() => said.some((line) => line.startsWith('SessionSync tab_')), () => `nothing was logged: ${said}`);
    const secrets = [
      await tab.evaluate(() => document.querySelector('meta[name=csrf-token]').content),
      ...(await tab.context().cookies()).map(({ value }) => value),
    ];
    assert.ok(secrets.length >= 2);
    for (const secret of secrets) assert.ok(!`${text} ${said}`.includes(secret));
    assert.deepEqual(said.filter((line) => !line.startsWith('SessionSync ')), []);
  });
});
