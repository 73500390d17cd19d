// A new token in real tabs, which share a jar: two that rotate at once, an answer that
// is lost with the connection, and an old token that is used again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';
import { arrives, browser, folder, freePort, heard, live, openTab, serve, until } from '../harness.mjs';

const ROTATING = resolve(import.meta.dirname, '../rotating');
const OVERLAP = 1000; // as the program has it

let chromium;
let url;
let context;
let tabs;

before(async () => {
  const program = join(await folder(), 'rotating');
  execFileSync('go', ['build', '-o', program, '.'], { cwd: ROTATING, stdio: 'inherit' });
  const address = `127.0.0.1:${await freePort()}`;
  url = `http://${address}`;
  [chromium] = await Promise.all([browser(), serve(`${url}/alive`, program, [address])]);
});

beforeEach(async () => {
  context = await chromium.newContext();
  const one = await openTab(context, `${url}/login`);
  await one.click('button');
  await arrives(one, '/');
  tabs = [one, await openTab(context, `${url}/`)];
  await Promise.all(tabs.map(live));
});

const token = async () => (await context.cookies(url)).find((c) => c.name === 'vedfolnir')?.value;

/** The answer's status and whether it sets a cookie; 0: there was none. */
async function rotate(tab, how = '') {
  const answers = [];
  const listen = (response) => response.url().includes('/rotate') && answers.push(response);
  tab.on('response', listen);
  const status = await tab.evaluate(async (path) => {
    const answer = await window.sessionSync.fetch(path, { method: 'POST' }).catch(() => undefined);
    return answer?.status ?? 0;
  }, `/rotate?how=${how}`);
  tab.off('response', listen);
  const headers = await Promise.all(answers.map((answer) => answer.allHeaders()));
  return { status, cookie: headers.some((all) => 'set-cookie' in all) };
}

/** Each tab asks by itself, and none has heard of an end. */
async function goOn() {
  for (const tab of tabs) {
    assert.equal(await tab.evaluate(async () => (await fetch('/api/session_state')).status), 200);
    assert.deepEqual(await heard(tab, 'sessionExpired'), []);
  }
}

describe('rotation', () => {
  test('of two tabs at once one wins and the other gets 409 and no cookie; both go on', async () => {
    const before = await token();
    const answers = await Promise.all(tabs.map((tab) => rotate(tab, 'together')));
    answers.sort((a, b) => a.status - b.status);
    assert.deepEqual(answers, [{ status: 200, cookie: true }, { status: 409, cookie: false }]);
    assert.notEqual(await token(), before);
    await goOn();
  });

  test('a new token that is lost with the connection lapses, and signs nobody out', async () => {
    const before = await token();
    const lost = await rotate(tabs[0], 'cut');
    // A browser may send what got no answer once more: the first may still be on its way then.
    assert.ok(lost.status === 0 || lost.status === 409, `${lost.status}`);
    assert.equal(lost.cookie, false);
    assert.equal(await token(), before);
    await goOn();
    await until(async () => (await rotate(tabs[1])).status === 200, 'the rotation does not lapse');
    assert.notEqual(await token(), before);
    await goOn();
  });

  test('an old token that is used again ends the session, and every tab says why', async () => {
    const stolen = await token();
    assert.equal((await rotate(tabs[0])).status, 200);
    await goOn();
    const ask = async () => (await fetch(`${url}/api/session_state`, { headers: { Cookie: `vedfolnir=${stolen}` } })).json();
    const used = Date.now();
    await until(async () => (await ask()).reason === 'token_replayed', 'the old token stays good');
    assert.ok(Date.now() - used > OVERLAP / 2, 'the old token was good for no time at all');
    for (const tab of tabs) {
      await arrives(tab, '/login');
      await until(async () => (await tab.textContent('body')).includes('An old copy of this session was used somewhere'), 'the page does not say why');
    }
  });
});
