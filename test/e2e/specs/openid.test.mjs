// Signing in through an OpenID provider in a real browser: there and back, over two
// sites, and what the tabs see when the person signs out there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';
import { arrives, browser, faults, folder, freePort, live, openTab, serve, Server } from '../harness.mjs';

const PROVIDER = resolve(import.meta.dirname, '../../../cmd/vedfolnir/internal/openid/openidtest/provider');
const BOUND = 2000; // as docs/openid.md has it
const RECENT = 3000;

let chromium;
let url;
let there;
let context;

before(async () => {
  const home = await folder();
  const program = join(home, 'provider');
  execFileSync('go', ['build', '-o', program, '.'], { cwd: PROVIDER, stdio: 'inherit' });
  const secret = join(home, 'secret');
  execFileSync('sh', ['-c', 'umask 077 && printf %s "a secret / of the client+" > "$1"', 'sh', secret]);
  const address = `127.0.0.1:${await freePort()}`;
  there = `http://${address}`;
  const server = await Server.start(({ port }) => ({
    VEDFOLNIR_ORIGIN: `http://localhost:${port}`, VEDFOLNIR_OPENID_ISSUER: there, VEDFOLNIR_OPENID_CLIENT_ID: 'vedfolnir-client',
    VEDFOLNIR_OPENID_CLIENT_SECRET: secret, VEDFOLNIR_OPENID_NAME: 'Example', VEDFOLNIR_OPENID_CREATE: 'true',
    VEDFOLNIR_REAUTH_AFTER: `${RECENT / 1000}s`,
  }));
  url = `http://localhost:${server.port}`;
  [chromium] = await Promise.all([browser(), serve(`${there}/alive`, program, [address, `${url}/backchannel-logout`])]);
});

beforeEach(async () => {
  context = await chromium.newContext();
});

/** There and back, and on to `path`. */
async function signInThere(path = '/') {
  const tab = await openTab(context, `${url}/login?next=${encodeURIComponent(path)}`);
  await tab.click('text=Sign in with Example');
  await arrives(tab, path);
  return tab;
}

describe('through an OpenID provider', () => {
  test('one click signs in, on to where the person wanted to go, and nothing of it stays in the address', async () => {
    const tab = await signInThere('/safety');
    assert.equal(await tab.textContent('[data-session-user]'), 'kim');
    assert.equal(new URL(tab.url()).search, '');
    await live(tab);
    const cookies = await context.cookies(url);
    assert.ok(cookies.some((c) => c.name === 'vedfolnir' && c.httpOnly && c.expires === -1), 'signed in, until the browser is closed');
    assert.ok(!cookies.some((c) => c.name === 'vedfolnir-openid'), 'what was kept for the way is gone');
  });

  test('the back button begins nothing anew, and signs nobody out', async () => {
    const tab = await signInThere();
    await live(tab);
    const before = (await context.cookies(url)).find((c) => c.name === 'vedfolnir').value;
    await tab.goBack();
    await arrives(tab, '/');
    assert.equal((await context.cookies(url)).find((c) => c.name === 'vedfolnir').value, before);
  });

  test('axe finds nothing on the pages that lead there, in light and in dark', async () => {
    const tab = await openTab(context, `${url}/login`);
    const looked = async (wanted) => {
      await tab.waitForSelector(`text=${wanted}`);
      for (const width of [320, 1280]) {
        await tab.setViewportSize({ width, height: 800 });
        assert.ok(await tab.evaluate((wide) => document.documentElement.scrollWidth <= wide, width));
        for (const colorScheme of ['light', 'dark']) {
          await tab.emulateMedia({ colorScheme });
          assert.deepEqual(await faults(tab), [], `${wanted}: ${width} px, ${colorScheme}`);
        }
      }
    };
    await looked('Sign in with Example');
    await tab.click('text=Sign in with Example');
    await arrives(tab, '/');
    await looked('Linked accounts');
    for (const [path, wanted] of [['/password', 'You have no password here'], ['/safety', 'See to your account at Example.']]) {
      await tab.goto(url + path);
      await looked(wanted);
    }
  });

  test('who has no password confirms there that it is them, and no dialog asks for one', async () => {
    const tab = await signInThere();
    await live(tab);
    await tab.waitForTimeout(RECENT + 200);
    await tab.click('button[aria-label="Remove the link to Example"]');
    await arrives(tab, '/reauth');
    await tab.click('text=Confirm with Example');
    await arrives(tab, '/');
    await live(tab);
    await tab.click('button[aria-label="Remove the link to Example"]');
    await tab.waitForSelector('text=This is your only way in');
  });

  test('whoever signs out there is out in every tab, within two seconds', async (t) => {
    const tabs = [await signInThere()];
    while (tabs.length < 3) tabs.push(await openTab(context, `${url}/`));
    await Promise.all(tabs.map(live));
    const times = [];
    for (const tab of tabs) {
      await tab.exposeFunction('gone', () => times.push(Date.now() - sent));
      await tab.evaluate(() => addEventListener('sessionExpired', () => gone()));
    }
    const sent = Date.now();
    assert.match(await (await fetch(`${there}/sign-out`)).text(), /200 OK/);
    await Promise.all(tabs.map((tab) => arrives(tab, '/login')));
    t.diagnostic(`the tabs have heard of it after ${times.join(', ')} ms`);
    assert.equal(times.length, tabs.length);
    assert.ok(Math.max(...times) < BOUND, `${times}`);
    assert.match(await tabs[0].textContent('main'), /signed out/i);
  });
});
