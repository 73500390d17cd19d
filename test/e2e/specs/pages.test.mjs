// The pages as people with different eyes, hands and browsers meet them.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { arrives, browser, faults, live, openTab, Server, signIn, until } from '../harness.mjs';

let chromium, server;
before(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
});

const PAGES = {
  'sign in': (context) => openTab(context, `${server.url}/login`),
  'a refused sign-in': async (context) => {
    const tab = await openTab(context, `${server.url}/login`);
    await tab.fill('#username', 'alex');
    await tab.fill('#password', 'wrong');
    await tab.click('button.main');
    await tab.waitForSelector('[role=alert]');
    return tab;
  },
  'home with platforms': (context) => signIn(context, server, 'alex'),
  'home without platforms': (context) => signIn(context, server, 'robin'),
  'a change of password': async (context) => {
    await signIn(context, server, 'alex');
    return openTab(context, `${server.url}/password`);
  },
  'nothing here': async (context) => {
    await signIn(context, server, 'alex');
    return openTab(context, `${server.url}/nothing`);
  },
};

for (const colorScheme of ['light', 'dark']) {
  describe(colorScheme, () => {
    for (const [name, open] of Object.entries(PAGES)) {
      test(`${name}: axe finds nothing, and nothing scrolls sideways at 320 px`, async () => {
        const context = await chromium.newContext({ colorScheme, viewport: { width: 320, height: 640 } });
        const tab = await open(context);
        assert.deepEqual(await faults(tab), []);
        assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= 320));
        await tab.setViewportSize({ width: 1280, height: 800 });
        assert.deepEqual(await faults(tab), []);
        await context.close();
      });
    }
  });
}

test('the cookie ends with the browser, unless the device is remembered', async () => {
  for (const remembered of [false, true]) {
    const context = await chromium.newContext();
    const tab = await openTab(context, `${server.url}/login`);
    await tab.fill('#username', 'alex');
    await tab.fill('#password', 'vedfolnir-demo');
    if (remembered) await tab.check('input[type=checkbox][name=remember]');
    await tab.click('button.main');
    await tab.waitForURL(`${server.url}/`);
    const held = (await context.cookies()).find(({ name }) => name === 'vedfolnir');
    assert.equal(held.expires === -1, !remembered);
    const said = await tab.textContent('li[aria-current=true][data-session-id] .sub');
    assert.match(said, remembered ? /, remembered$/ : /, until the browser is closed$/);
    await context.close();
  }
});

test('without script: sign in, switch, end another session, sign out', async () => {
  const context = await chromium.newContext({ javaScriptEnabled: false });
  const elsewhere = await signIn(await chromium.newContext(), server, 'alex');
  const tab = await signIn(context, server, 'alex');
  await tab.click('button[aria-label="Switch to Work"]');
  await tab.waitForSelector('h1:text-is("Work")');
  await tab.click('form[action="/sessions/end-others"] button');
  await arrives(elsewhere, '/login');
  await tab.click('form[action="/logout"] button');
  await arrives(tab, '/login');
  await context.close();
});

test('by keyboard alone: sign in, switch, sign out, and always see where one is', async () => {
  const context = await chromium.newContext();
  const tab = await openTab(context, `${server.url}/login`);
  await tab.waitForFunction(() => document.activeElement.id === 'username');
  await tab.keyboard.type('alex');
  await tab.keyboard.press('Tab');
  await tab.keyboard.type('vedfolnir-demo');
  await tab.keyboard.press('Enter');
  await tab.waitForURL(`${server.url}/`);
  const reach = async (label) => {
    for (let i = 0; i < 40; i++) {
      await tab.keyboard.press('Tab');
      const focus = await tab.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return { name: document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim(), outline: outlineStyle !== 'none' && outlineWidth !== '0px' };
      });
      assert.ok(focus.outline, `${focus.name} does not show that it has the focus`);
      if (focus.name === label) return;
    }
    assert.fail(`${label} cannot be reached`);
  };
  await reach('Switch to Work');
  await tab.keyboard.press('Enter');
  await until(async () => (await tab.textContent('h1')) === 'Work', 'the switch does not show');
  await tab.goto(`${server.url}/`);
  await reach('Sign out');
  await tab.keyboard.press('Enter');
  await arrives(tab, '/login');
  await context.close();
});

test('a changed password: tabs elsewhere leave, this tab and its neighbour go on', async () => {
  const [context, other] = await Promise.all([chromium.newContext(), chromium.newContext()]);
  const neighbour = await signIn(context, server, 'sam');
  const elsewhere = await signIn(other, server, 'sam');
  await Promise.all([live(neighbour), live(elsewhere)]);
  const tab = await openTab(context, `${server.url}/`);
  await tab.click('a[href="/password"]');
  const send = async (current, fresh) => {
    await tab.fill('#current', current);
    await tab.fill('#password', fresh);
    await tab.fill('#again', fresh);
    await tab.click('button.main');
  };
  await send('vedfolnir-demo', 'passwordpassword');
  assert.match(await tab.textContent('[role=alert]'), /guessed/);
  await send('vedfolnir-demo', 'nine purple kettles whisper');
  await arrives(tab, '/');
  assert.match(await tab.textContent('[role=status].notice'), /Your password is changed/);
  await arrives(elsewhere, '/login');
  await live(tab);
  await live(neighbour);
  assert.equal(new URL(neighbour.url()).pathname, '/');
  await neighbour.reload();
  assert.equal(new URL(neighbour.url()).pathname, '/');
  await context.close();
  await other.close();
});
