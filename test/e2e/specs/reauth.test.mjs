// What is sensitive asks for a fresh proof of who the person is, in the page.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { arrives, browser, faults, live, Server, shown, signIn, switchTo, tabs, until } from '../harness.mjs';

const PASSWORD = 'vedfolnir-demo';
let chromium, server;
before(async () => {
  // The cookie in another program is enough to take away what was proved.
  const env = { SESSION_MAX_CONCURRENT_PER_USER: '0', SESSION_SUSPICION_STEP_UP_SCORE: '40' };
  [chromium, server] = await Promise.all([browser(), Server.start(env)]);
});

/** Takes away what was proved, as somebody would who uses the cookie elsewhere. */
async function stale(context) {
  const { value } = (await context.cookies()).find((c) => c.name === 'vedfolnir');
  const answer = await fetch(`${server.url}/api/session_state`, {
    headers: { Cookie: `vedfolnir=${value}`, 'User-Agent': 'curl/8.5.0' },
  });
  assert.equal(answer.status, 200);
}

const handle = (tab) => tab.evaluate(() => window.sessionSync.getSnapshot().state?.session.session_id);
const user = (tab) => tab.evaluate(() => window.sessionSync.getSnapshot().state?.user.username);
const keep = (tab) => tab.evaluate(() => void (window.kept = true));
const kept = (tab) => tab.evaluate(() => window.kept === true);
/** Asks for what is sensitive; the tab has the status in `window.answered`. */
const endOthers = (tab) =>
  tab.evaluate(() => {
    window.answered = undefined;
    const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
    void window.sessionSync.fetch('/api/sessions/revoke_others', init).then(({ status }) => (window.answered = status));
  });
const answered = (tab) => tab.waitForFunction(() => window.answered).then((answer) => answer.jsonValue());
const focused = (tab) => tab.evaluate(() => document.activeElement.getAttribute('name') ?? document.activeElement.textContent);
const closed = (tab) => tab.waitForSelector('dialog', { state: 'detached' });

test('a stale proof: the dialog, and then it is done; session, platform and page are kept, and the other tab lives', async () => {
  const context = await chromium.newContext();
  const [tab, other] = await tabs(context, server, 2);
  const phone = await signIn(await chromium.newContext(), server);
  await live(phone);
  await switchTo(tab, 'My Mastodon');
  await until(async () => (await shown(other)) === 'My Mastodon');
  await stale(context);
  const before = await handle(tab);
  await Promise.all([keep(tab), keep(other)]);

  await endOthers(tab);
  await tab.waitForSelector('dialog');
  assert.equal(await focused(tab), 'password');
  assert.equal(await tab.inputValue('dialog [name=username]'), 'alex');
  assert.deepEqual(await faults(tab), []);
  await tab.keyboard.type('wrong');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('dialog [role=alert]:not(:empty)');
  assert.equal(await tab.textContent('dialog [role=alert]'), 'Name or password is wrong.');
  assert.equal(new URL(phone.url()).pathname, '/');
  await tab.keyboard.type(PASSWORD);
  await tab.keyboard.press('Enter');
  assert.equal(await answered(tab), 200);
  await closed(tab);
  await arrives(phone, '/login');

  for (const each of [tab, other]) {
    assert.equal(await kept(each), true);
    assert.equal(await handle(each), before);
    assert.equal(await shown(each), 'My Mastodon');
    await live(each);
  }
  // The other tab has the new token too, and may do the same without being asked.
  await endOthers(other);
  assert.equal(await answered(other), 200);
  assert.equal(await other.$('dialog'), null);
  await Promise.all([context.close(), phone.context().close()]);
});

test('cancelled by Escape: the caller has the refusal, the focus is back, and nothing has ended', async () => {
  const context = await chromium.newContext();
  const [tab] = await tabs(context, server, 1);
  const phone = await signIn(await chromium.newContext(), server);
  await live(phone);
  await stale(context);
  await tab.focus('button[aria-label="Switch to My Mastodon"]');
  const had = await focused(tab);
  await endOthers(tab);
  await tab.waitForSelector('dialog');
  await tab.keyboard.press('Escape');
  assert.equal(await answered(tab), 403);
  await closed(tab);
  assert.equal(await focused(tab), had);
  await live(phone);
  assert.equal(await user(tab), 'alex');
  await Promise.all([context.close(), phone.context().close()]);
});

test('as another person: a session of theirs, in every tab, and nothing is done over', async () => {
  const context = await chromium.newContext();
  const [tab, other] = await tabs(context, server, 2);
  const phone = await signIn(await chromium.newContext(), server);
  await live(phone);
  const before = await handle(tab);
  await stale(context);
  await endOthers(tab);
  await tab.waitForSelector('dialog');
  await tab.fill('dialog [name=username]', 'sam');
  await tab.fill('dialog [name=password]', PASSWORD);
  await tab.click('dialog button.main');
  for (const each of [tab, other]) {
    await until(async () => (await user(each).catch(() => undefined)) === 'sam');
    assert.notEqual(await handle(each), before);
  }
  await live(phone); // which is still alex's
  assert.equal(await user(phone), 'alex');
  await Promise.all([context.close(), phone.context().close()]);
});

test('the page’s own button asks in the page', async () => {
  const context = await chromium.newContext();
  const [tab] = await tabs(context, server, 1);
  const phone = await signIn(await chromium.newContext(), server);
  await tab.reload();
  await live(tab);
  await stale(context);
  await tab.click('text=End all others');
  await tab.waitForSelector('dialog');
  await tab.keyboard.type(PASSWORD);
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('text=All your other sessions have ended.');
  await arrives(phone, '/login');
  await Promise.all([context.close(), phone.context().close()]);
});

describe('without a script', () => {
  for (const colorScheme of ['light', 'dark']) {
    test(`a page of its own asks, and leads back: ${colorScheme}`, async () => {
      const context = await chromium.newContext({ javaScriptEnabled: false, colorScheme, viewport: { width: 320, height: 640 } });
      const tab = await signIn(context, server);
      const phone = await signIn(await chromium.newContext(), server);
      await tab.reload();
      await stale(context);
      await tab.click('text=End all others');
      await arrives(tab, '/reauth');
      const scripted = await (await chromium.newContext({ colorScheme, storageState: await context.storageState() })).newPage();
      await scripted.goto(`${server.url}/reauth`);
      assert.deepEqual(await faults(scripted), []);
      await scripted.context().close();
      await tab.keyboard.type(PASSWORD);
      await tab.keyboard.press('Enter');
      await arrives(tab, '/');
      await tab.click('text=End all others');
      await tab.waitForSelector('text=All your other sessions have ended.');
      await arrives(phone, '/login');
      await Promise.all([context.close(), phone.context().close()]);
    });
  }
});
