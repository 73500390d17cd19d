// Passkeys in a real browser, with the authenticator that Chromium has for tests.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { arrives, authenticator, browser, faults, openTab, Server, signIn, until } from '../harness.mjs';

// A server as its people should open it.
const named = (server) => ({ url: server.url.replace('127.0.0.1', 'localhost') });

let chromium, server, site;
before(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start({ SESSION_MAX_CONCURRENT_PER_USER: '0' })]);
  site = named(server);
});

/** A tab of somebody who has just added a passkey, and the passkey. */
async function withPasskey(name, at = site) {
  const context = await chromium.newContext();
  const tab = await signIn(context, at, name);
  const key = await authenticator(tab);
  await tab.goto(`${at.url}/passkeys`);
  await tab.click('text=Add a passkey');
  await tab.waitForSelector('text=Your new passkey is good.');
  const credentials = await key.credentials();
  assert.equal(credentials.length, 1);
  return { context, tab, credentials };
}

/** The sign-in page in a browser of its own. It offers passkeys by the button only, unless it is asked to offer them for the name. */
async function atTheDoor(credentials, { path = '/login', verified = true, offers = false } = {}) {
  const context = await chromium.newContext();
  if (!offers) await context.addInitScript(() => { PublicKeyCredential.isConditionalMediationAvailable = async () => false; });
  const tab = await openTab(context, 'about:blank');
  const key = await authenticator(tab, credentials);
  await key.verified(verified);
  await tab.goto(site.url + path);
  return { context, tab };
}

const problem = (tab) => tab.locator('[data-passkey-problem]');

test('a passkey is added, and signs in by the button, on to where the person was going', async () => {
  const { context, tab, credentials } = await withPasskey('alex');
  assert.equal(credentials[0].rpId, 'localhost');
  assert.equal(credentials[0].isResidentCredential, true);
  assert.ok(!Buffer.from(credentials[0].userHandle, 'base64').toString().includes('alex'));
  assert.deepEqual(await faults(tab), []);
  assert.match(await tab.textContent('.keys'), /never used/);

  const door = await atTheDoor(credentials, { path: '/safety' });
  await door.tab.waitForSelector('text=Sign in with a passkey');
  await door.tab.focus('text=Sign in with a passkey');
  await door.tab.keyboard.press('Enter');
  await arrives(door.tab, '/safety');
  assert.match(await door.tab.textContent('main'), /A passkey was added/);
  assert.match(await door.tab.textContent('.me'), /alex/);
  await Promise.all([context.close(), door.context.close()]);
});

test('a passkey signs in by what the browser offers for the name', async () => {
  const { context, credentials } = await withPasskey('alex');
  const door = await atTheDoor(credentials, { offers: true });
  await arrives(door.tab, '/');
  assert.match(await door.tab.textContent('.me'), /alex/);
  await Promise.all([context.close(), door.context.close()]);
});

test('a second one of the same device, one that is cancelled, and one that is not known are told, and nothing happens', async () => {
  const { context, tab, credentials } = await withPasskey('admin');
  await tab.click('text=Add a passkey');
  await until(async () => /has a passkey of yours already/.test(await problem(tab).textContent()), 'the second one was not refused');
  const door = await atTheDoor(credentials, { verified: false });
  await door.tab.click('text=Sign in with a passkey');
  await until(async () => /No passkey was used/.test(await problem(door.tab).textContent()), 'nothing was told of the cancelled one');
  assert.deepEqual(await faults(door.tab), []);
  await door.context.close();

  await tab.click('.change summary');
  await tab.click('text=Remove Chrome');
  await tab.waitForSelector('text=The passkey is removed');
  const late = await atTheDoor(credentials);
  await late.tab.click('text=Sign in with a passkey');
  await until(async () => /is not known here/.test(await problem(late.tab).textContent()), 'the removed one was taken');
  assert.equal(new URL(late.tab.url()).pathname, '/login');
  await late.tab.fill('#username', 'admin');
  await late.tab.fill('#password', 'vedfolnir-demo');
  await late.tab.press('#password', 'Enter');
  await arrives(late.tab, '/');
  await Promise.all([context.close(), late.context.close()]);
});

test('a passkey is renamed and removed by keyboard alone, and its removal ends the others', async () => {
  const { context, tab, credentials } = await withPasskey('sam');
  const door = await atTheDoor(credentials, { offers: true });
  await arrives(door.tab, '/');
  const press = async (...keys) => { for (const key of keys) await tab.keyboard.press(key); };
  await tab.focus('.change summary');
  await press('Enter', 'Tab', 'Control+a');
  await tab.keyboard.type('My laptop');
  await press('Tab', 'Enter');
  await tab.waitForSelector('text=The passkey has its new name.');
  await tab.focus('.change summary');
  await press('Enter', 'Tab', 'Tab', 'Tab');
  assert.equal(await tab.evaluate(() => document.activeElement.textContent), 'Remove My laptop');
  await press('Enter');
  await tab.waitForSelector('text=The passkey is removed, and all your other sessions have ended.');
  await arrives(door.tab, '/login');
  await Promise.all([context.close(), door.context.close()]);
});

test('a passkey confirms who somebody is, in the dialog and on the page that asks, and what they wanted is done', async () => {
  const at = named(await Server.start({ SESSION_SUSPICION_STEP_UP_SCORE: '40' }));
  // A session that does not count as fresh any more: somebody else has used its cookie.
  const stale = async (name) => {
    const { context, tab } = await withPasskey(name, at);
    const { value } = (await context.cookies()).find((c) => c.name === 'vedfolnir');
    await fetch(`${at.url}/api/session_state`, { headers: { Cookie: `vedfolnir=${value}`, 'User-Agent': 'curl/8.5.0' } });
    return { context, tab };
  };
  const inPlace = await stale('alex');
  await inPlace.tab.click('.change summary');
  await inPlace.tab.click('text=Remove Chrome');
  await inPlace.tab.click('dialog >> text=Cancel');
  await inPlace.tab.waitForSelector('dialog', { state: 'detached' });
  assert.equal(await inPlace.tab.locator('.keys > li').count(), 1);
  await inPlace.tab.click('text=Remove Chrome');
  await inPlace.tab.click('dialog >> text=Use a passkey');
  await inPlace.tab.waitForSelector('text=The passkey is removed');
  await inPlace.context.close();

  const { context, tab } = await stale('robin');
  await tab.click('text=Make recovery codes');
  await arrives(tab, '/reauth');
  assert.deepEqual(await faults(tab), []);
  await tab.click('text=Use a passkey');
  await arrives(tab, '/passkeys');
  await tab.click('text=Make recovery codes');
  await tab.waitForSelector('h1:text("Your recovery codes")');
  await context.close();
});

test('where the browser has no passkeys, or the page no script, the password is there', async () => {
  const context = await chromium.newContext();
  await context.addInitScript(() => { delete window.PublicKeyCredential; });
  const tab = await signIn(context, site, 'alex');
  await tab.goto(`${site.url}/passkeys`);
  await tab.waitForSelector('text=This browser cannot keep passkeys');
  assert.ok(!await tab.isVisible('text=Add a passkey'));
  await context.close();
  const bare = await chromium.newContext({ javaScriptEnabled: false });
  const plain = await openTab(bare, `${site.url}/login`);
  assert.ok(!await plain.isVisible('text=Sign in with a passkey'));
  await bare.close();
});

test('recovery codes are shown once, copied, and one of them sets a new password', async () => {
  const context = await chromium.newContext();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: site.url });
  const tab = await signIn(context, site, 'robin');
  await tab.goto(`${site.url}/passkeys`);
  await tab.click('text=Make recovery codes');
  await tab.waitForSelector('h1:text("Your recovery codes")');
  const codes = await tab.locator('[data-codes] code').allTextContents();
  assert.equal(codes.length, 10);
  assert.deepEqual(await faults(tab), []);
  await tab.click('text=Copy');
  await tab.waitForSelector('text=Copied.');
  assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), codes.join('\n') + '\n');
  await tab.click('text=I have kept them');
  await tab.waitForSelector('text=10 of 10 are left');

  const other = await openTab(await chromium.newContext(), `${site.url}/login`);
  await other.click('text=Use a recovery code');
  await other.waitForSelector('h1:text("Use a recovery code")');
  assert.deepEqual(await faults(other), []);
  for (const [field, text] of Object.entries({ username: 'robin', code: codes[3].toUpperCase(), password: 'nine purple kettles whisper', again: 'nine purple kettles whisper' })) {
    await other.fill(`#${field}`, text);
  }
  await other.press('#again', 'Enter');
  await other.waitForSelector('text=Your new password is set');
  await other.waitForSelector('text=9 of 10 are left');
  await arrives(tab, '/login');
  await Promise.all([context.close(), other.context().close()]);
});
