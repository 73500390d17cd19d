// Pictures of every page, narrow and wide, light and dark: to be looked at. $PAGE is a
// part of the names of those that are wanted.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { arrives, authenticator, browser, live, openTab, Server, signIn, until } from './harness.mjs';

const FOLDER = resolve(import.meta.dirname, '../../bin/screenshots');
const LONG = 'Донаудампфшиффартсгезельшафт — the account of the society for the protection of very long names';

const PHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';

// Each page: how to come to it, and what to do there first.
const pages = {
  'sign-in': (context, server) => openTab(context, `${server.url}/login`),
  'sign-in-refused': async (context, server) => {
    const tab = await openTab(context, `${server.url}/login`);
    await tab.fill('#username', 'alex');
    await tab.fill('#password', 'wrong');
    await tab.click('button.main');
    await tab.waitForLoadState();
    return tab;
  },
  // The cookie in another browser, and another device that ends the session.
  'sign-in-ended': async (context, server) => {
    const tab = await signIn(context, server);
    const other = await signIn(await context.browser().newContext({ userAgent: PHONE }), server);
    await other.click('text=End all others');
    await other.context().close();
    await arrives(tab, '/login');
    return tab;
  },
  'home-noticed': async (context, server) => {
    const tab = await signIn(context, server, 'sam');
    await live(tab);
    const { value } = (await context.cookies()).find((c) => c.name === 'vedfolnir');
    await fetch(`${server.url}/api/session_state`, { headers: { Cookie: `vedfolnir=${value}`, 'User-Agent': 'curl/8.5.0' } });
    await tab.reload();
    await live(tab);
    return tab;
  },
  home: async (context, server) => {
    const tab = await signIn(context, server);
    await live(tab);
    return tab;
  },
  'home-without-platforms': (context, server) => signIn(context, server, 'robin'),
  'home-long-names': async (context, server) => {
    const tab = await signIn(context, server);
    await live(tab);
    await tab.evaluate((name) => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let text; (text = walker.nextNode()); ) {
        text.data = text.data.replace(/My (Pixelfed|Mastodon)|alex@example\.com/, name);
      }
    }, LONG);
    return tab;
  },
  'password': async (context, server) => {
    await signIn(context, server);
    return openTab(context, `${server.url}/password`);
  },
  'password-refused': async (context, server) => {
    await signIn(context, server);
    const tab = await openTab(context, `${server.url}/password`);
    for (const [field, text] of [['current', 'vedfolnir-demo'], ['password', 'passwordpassword'], ['again', 'passwordpassword']]) await tab.fill(`#${field}`, text);
    await tab.click('button.main');
    await tab.waitForSelector('[role=alert]');
    return tab;
  },
  'safety': async (context, server) => {
    const stranger = await openTab(await context.browser().newContext({ userAgent: PHONE }), `${server.url}/login`);
    for (let i = 0; i < 2; i++) {
      await stranger.fill('#username', 'sam');
      await stranger.fill('#password', 'wrong');
      await stranger.click('button.main');
      await stranger.waitForSelector('[role=alert]');
    }
    await stranger.context().close();
    await signIn(context, server, 'sam');
    const tab = await openTab(context, `${server.url}/safety`);
    await live(tab);
    return tab;
  },
  'safety-seen': async (context, server) => {
    await signIn(context, server, 'sam');
    const tab = await openTab(context, `${server.url}/safety`);
    await tab.click('text=Mark all as seen');
    await live(tab);
    return tab;
  },
  'passkeys-none': async (context, server) => {
    await signIn(context, server, 'robin');
    return openTab(context, `${server.url}/passkeys`);
  },
  'passkeys': async (context, server) => {
    const tab = await signIn(context, server);
    await authenticator(tab);
    await tab.goto(`${server.url}/passkeys`);
    await tab.click('text=Add a passkey');
    await tab.waitForSelector('text=Your new passkey is good.');
    await tab.click('summary');
    return tab;
  },
  'recovery-codes': async (context, server) => {
    await signIn(context, server);
    const tab = await openTab(context, `${server.url}/passkeys`);
    await tab.click('form[action="/recovery-codes"] button');
    await tab.waitForSelector('[data-codes]');
    return tab;
  },
  'reauth': async (context, server) => {
    const tab = await signIn(context, server);
    await until(async () => {
      await tab.goto(`${server.url}/reauth?next=/safety`);
      return new URL(tab.url()).pathname === '/reauth';
    }, 'the proof stays good');
    return tab;
  },
  'reauth-dialog': async (context, server) => {
    const tab = await signIn(context, server);
    await live(tab);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await tab.click('text=End all others');
    await tab.waitForSelector('dialog[open]');
    return tab;
  },
  'recover': (context, server) => openTab(context, `${server.url}/recover`),
  'people': async (context, server) => {
    await signIn(context, server, 'admin');
    return openTab(context, `${server.url}/people`);
  },
  'people-sought': async (context, server) => {
    await signIn(context, server, 'admin');
    return openTab(context, `${server.url}/people?q=a`);
  },
  'acting': async (context, server) => {
    await signIn(context, server, 'admin');
    const tab = await openTab(context, `${server.url}/people`);
    await tab.click('[aria-label="Act as sam"]');
    await tab.waitForSelector('text=Be yourself again');
    await live(tab);
    return tab;
  },
  'not-found': (context, server) => openTab(context, `${server.url}/there-is-nothing-here`),
};

test('pictures', async () => {
  const settings = ({ port }) => ({ SESSION_MAX_CONCURRENT_PER_USER: '0', VEDFOLNIR_ORIGIN: `http://localhost:${port}` });
  const [chromium, server, wary] = await Promise.all([
    browser(), Server.start(settings), Server.start((one) => ({ ...settings(one), VEDFOLNIR_REAUTH_AFTER: '2s' })),
  ]);
  for (const one of [server, wary]) one.url = one.url.replace('127.0.0.1', 'localhost'); // where passkeys work
  await mkdir(FOLDER, { recursive: true });
  for (const [name, open] of Object.entries(pages).filter(([page]) => page.includes(process.env.PAGE ?? ''))) {
    const context = await chromium.newContext({ reducedMotion: 'reduce' });
    const tab = await open(context, name.startsWith('reauth') ? wary : server);
    for (const width of [360, 1280]) {
      for (const colorScheme of ['light', 'dark']) {
        await tab.setViewportSize({ width, height: 800 });
        await tab.emulateMedia({ colorScheme });
        await tab.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
    await context.close();
  }
  console.log(`pictures are in ${FOLDER}`);
});
