// The pages as people with different eyes, hands and browsers meet them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { arrives, authenticator, browser, faults, live, openTab, Server, signIn, until } from '../harness.mjs';

let chromium, server, wary;
before(async () => {
  const settings = ({ port }) => ({ SESSION_MAX_CONCURRENT_PER_USER: '0', VEDFOLNIR_ORIGIN: `http://localhost:${port}` });
  [chromium, server, wary] = await Promise.all([
    browser(), Server.start(settings), Server.start((one) => ({ ...settings(one), VEDFOLNIR_REAUTH_AFTER: '1s' })),
  ]);
  for (const one of [server, wary]) one.url = one.url.replace('127.0.0.1', 'localhost'); // where passkeys work
});

/** The tab of somebody who has to prove anew who they are. */
async function stale(context) {
  const tab = await signIn(context, wary, 'alex');
  await until(async () => {
    await tab.goto(`${wary.url}/reauth?next=/safety`);
    return new URL(tab.url()).pathname === '/reauth';
  }, 'the proof stays good');
  return tab;
}

/** And of somebody who is asked for it in the page. */
async function asked(context) {
  await (await signIn(await context.browser().newContext(), wary, 'alex')).context().close();
  const tab = await stale(context);
  await tab.goto(`${wary.url}/safety`);
  await live(tab);
  await tab.click('text=End all others');
  await tab.waitForSelector('dialog[open]');
  return tab;
}

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
  'safety with what is new': async (context) => {
    await signIn(context, server, 'alex');
    return openTab(context, `${server.url}/safety`);
  },
  'safety when all was seen': async (context) => {
    await signIn(context, server, 'alex');
    const tab = await openTab(context, `${server.url}/safety`);
    await tab.click('text=Mark all as seen');
    await tab.waitForSelector('text=Mark all as seen', { state: 'detached' });
    return tab;
  },
  'no passkeys': async (context) => {
    await signIn(context, server, 'sam');
    return openTab(context, `${server.url}/passkeys`);
  },
  'a passkey to be changed': async (context) => {
    const tab = await signIn(context, server, 'alex');
    await authenticator(tab);
    await tab.goto(`${server.url}/passkeys`);
    await tab.click('text=Add a passkey');
    await tab.waitForSelector('text=Your new passkey is good.');
    await tab.click('summary >> nth=0');
    return tab;
  },
  'recovery codes': async (context) => {
    await signIn(context, server, 'alex');
    const tab = await openTab(context, `${server.url}/passkeys`);
    await tab.click('form[action="/recovery-codes"] button');
    await tab.waitForSelector('[data-codes]');
    return tab;
  },
  'a recovery code to be used': (context) => openTab(context, `${server.url}/recover`),
  'a proof that is asked for': stale,
  'a proof that is asked for in the page': asked,
  'nothing here': async (context) => {
    await signIn(context, server, 'alex');
    return openTab(context, `${server.url}/nothing`);
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`${name}: axe finds nothing, in light and in dark, and nothing scrolls sideways at 320 px`, async () => {
    const context = await chromium.newContext({ reducedMotion: 'reduce' });
    const tab = await open(context);
    for (const width of [320, 1280]) {
      await tab.setViewportSize({ width, height: 800 });
      assert.ok(await tab.evaluate((wide) => document.documentElement.scrollWidth <= wide, width));
      for (const colorScheme of ['light', 'dark']) {
        await tab.emulateMedia({ colorScheme });
        assert.deepEqual(await faults(tab), [], `${width} px, ${colorScheme}`);
      }
    }
    await context.close();
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

test('an operator acts as somebody, and is themself again, in every tab', async () => {
  const context = await chromium.newContext();
  const neighbour = await signIn(context, server, 'admin');
  const tab = await openTab(context, `${server.url}/people`);
  assert.deepEqual(await faults(tab), []);
  await reach(tab, 'Name, e-mail address or number');
  await tab.keyboard.type('ALEX');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('text=1 found.');
  assert.deepEqual(await faults(tab), []);
  const is = (page, name, acting) => until(
    async () => (await page.textContent('[data-session-user]').catch(() => '')) === name && (await page.locator('.acting-strip').count()) === acting,
    `a tab does not show ${name}`,
  );
  await tab.click('button[aria-label="Act as alex"]');
  await Promise.all([is(tab, 'alex', 1), is(neighbour, 'alex', 1)]);
  assert.deepEqual(await faults(tab), []);
  await tab.click('.acting-strip button');
  await Promise.all([is(tab, 'admin', 0), is(neighbour, 'admin', 0)]);
  await context.close();
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

/** By Tab alone to what is called so, and always one sees where one is. */
async function reach(tab, label) {
  for (let i = 0; i < 60; i++) {
    await tab.keyboard.press('Tab');
    const focus = await tab.evaluate(() => {
      const here = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(here);
      const name = here.getAttribute('aria-label') ?? here.labels?.[0]?.textContent ?? here.textContent;
      return { name: name.trim().replaceAll(/\s+/g, ' '), outline: here === document.body || (outlineStyle !== 'none' && outlineWidth !== '0px') };
    });
    assert.ok(focus.outline, `${focus.name} does not show that it has the focus`);
    if (focus.name === label) return;
  }
  assert.fail(`${label} cannot be reached`);
}

async function press(tab, label) {
  await reach(tab, label);
  await tab.keyboard.press('Enter');
}

/** Signs in by keyboard alone. */
async function typeIn(context, site, name) {
  const tab = await openTab(context, `${site.url}/login`);
  await tab.waitForFunction(() => document.activeElement.id === 'username');
  await tab.keyboard.type(name);
  await tab.keyboard.press('Tab');
  await tab.keyboard.type('vedfolnir-demo');
  await tab.keyboard.press('Enter');
  await tab.waitForURL(`${site.url}/`);
  return tab;
}

test('by keyboard alone: sign in, switch, sign out, and always see where one is', async () => {
  const context = await chromium.newContext();
  const tab = await typeIn(context, server, 'alex');
  await press(tab, 'Switch to Work');
  await until(async () => (await tab.textContent('h1')) === 'Work', 'the switch does not show');
  await tab.goto(`${server.url}/`);
  await press(tab, 'Sign out');
  await arrives(tab, '/login');
  await context.close();
});

test('by keyboard alone: what happened, a passkey, recovery codes, another password', async () => {
  const context = await chromium.newContext();
  const tab = await typeIn(context, server, 'robin');
  await live(tab);
  await press(tab, 'Safety 1 new');
  await arrives(tab, '/safety');
  await live(tab);
  await press(tab, 'Mark all as seen');
  await tab.waitForSelector('text=Mark all as seen', { state: 'detached' });
  await live(tab);

  const key = await authenticator(tab);
  await press(tab, 'Passkeys');
  await arrives(tab, '/passkeys');
  await live(tab);
  await press(tab, 'Add a passkey');
  await tab.waitForSelector('text=Your new passkey is good.');
  assert.equal((await key.credentials()).length, 1);
  const named = await tab.textContent('.keys strong');
  await press(tab, `Change ${named}`);
  await reach(tab, 'Name');
  await tab.keyboard.press('Control+A');
  await tab.keyboard.type('The blue one');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('.keys strong:text-is("The blue one")');
  await press(tab, 'Make recovery codes');
  await tab.waitForSelector('[data-codes]');
  await press(tab, 'I have kept them');
  await arrives(tab, '/passkeys');

  await press(tab, 'Password');
  await arrives(tab, '/password');
  await tab.waitForFunction(() => document.activeElement.id === 'current');
  for (const text of ['vedfolnir-demo', 'nine purple kettles whisper', 'nine purple kettles whisper']) {
    await tab.keyboard.type(text);
    await tab.keyboard.press('Tab');
  }
  await tab.keyboard.press('Enter'); // on the button
  await arrives(tab, '/');
  assert.match(await tab.textContent('[role=status].notice'), /Your password is changed/);
  await context.close();
});

test('by keyboard alone: a proof is refused, taken back and given, in the page and on its own', async () => {
  const context = await chromium.newContext();
  const other = await signIn(await chromium.newContext(), wary, 'sam');
  const tab = await typeIn(context, wary, 'sam');
  await until(async () => {
    await tab.goto(`${wary.url}/reauth?next=/safety`);
    return new URL(tab.url()).pathname === '/reauth';
  }, 'the proof stays good');
  await tab.waitForFunction(() => document.activeElement.id === 'password');
  await tab.keyboard.type('wrong');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('[role=alert]');
  await tab.waitForFunction(() => document.activeElement.id === 'password');
  await tab.keyboard.type('vedfolnir-demo');
  await tab.keyboard.press('Enter');
  await arrives(tab, '/safety');
  await live(tab);

  await new Promise((resolve) => setTimeout(resolve, 1100)); // until the proof is too old
  await press(tab, 'End all others');
  await tab.waitForSelector('dialog[open]');
  await tab.keyboard.press('Escape');
  await tab.waitForSelector('dialog[open]', { state: 'detached' });
  assert.equal(new URL(other.url()).pathname, '/');
  await press(tab, 'End all others');
  await tab.waitForSelector('dialog[open]');
  await tab.waitForFunction(() => document.activeElement.type === 'password');
  await tab.keyboard.type('vedfolnir-demo');
  await tab.keyboard.press('Enter');
  await arrives(other, '/login');
  await tab.waitForSelector('text=All your other sessions have ended.');
  await Promise.all([context.close(), other.context().close()]);
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
