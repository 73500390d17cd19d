// What the tutorial and the Flask example promise, in real tabs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { arrives, BINARY, browser, folder, freePort, heard, live, openTab, serve } from '../harness.mjs';

const ROOT = resolve(import.meta.dirname, '../../..');
const PATH = [dirname(BINARY), process.env.PATH, '/usr/sbin'].join(delimiter);

let chromium;
before(async () => (chromium = await browser()));

const shows = (tab, name) =>
  tab.waitForFunction((wanted) => document.querySelector('[data-session-platform]')?.textContent === wanted, name);

async function signIn(context, url, name, password) {
  const tab = await openTab(context, `${url}/login`);
  await tab.fill('input[name=username]', name);
  await tab.fill('input[name=password]', password);
  await tab.click('button:has-text("Sign in")');
  await arrives(tab, '/');
  return tab;
}

/** Two tabs; a click in one of them, and both say so; signed out in one of them, none is left behind. */
async function agree(url, name, password) {
  const context = await chromium.newContext();
  const one = await signIn(context, url, name, password);
  const two = await openTab(context, `${url}/`);
  await Promise.all([one, two].map((tab) => shows(tab, 'My Pixelfed')));
  await Promise.all([one, two].map(live));
  await one.click('button:has-text("My Mastodon")');
  await Promise.all([one, two].map((tab) => shows(tab, 'My Mastodon')));
  return [one, two];
}

describe('the tutorial', () => {
  test('leads from an empty folder to two tabs that agree', async (t) => {
    const dir = await folder();
    const addr = `127.0.0.1:${await freePort()}`;
    const began = Date.now();
    await symlink(ROOT, join(dir, 'vedfolnir'));
    const text = (await readFile(join(ROOT, 'docs/tutorial-go.md'), 'utf8')).replaceAll('127.0.0.1:8080', addr);
    const [commands] = /(?<=^```sh\n).*?(?=^```$)/ms.exec(text);
    const env = { ...process.env, GOWORK: 'off' };
    execFileSync('sh', ['-e', '-c', commands], { cwd: dir, env });
    const app = join(dir, 'hello');
    await writeFile(join(app, 'main.go'), /(?<=^```go\n).*?(?=^```$)/ms.exec(text)[0]);
    await writeFile(join(app, 'pages.html'), /(?<=^```html\n).*?(?=^```$)/ms.exec(text)[0]);
    await serve(`http://${addr}/login`, 'go', ['run', '.'], { cwd: app, env });
    const [one, two] = await agree(`http://${addr}`, 'kim', 'only a tutorial');
    t.diagnostic(`two tabs agree after ${Date.now() - began} ms`);
    await one.click('button:has-text("Sign out")');
    await Promise.all([one, two].map((tab) => arrives(tab, '/login')));
  });
});

const missing = existsSync('/usr/sbin/nginx') && existsSync('/usr/lib/python3/dist-packages/flask') ? false : 'nginx or flask is missing';

describe('a Flask app behind the server', { skip: process.env.CI !== 'true' && missing }, () => {
  test('follows in every tab, and its list is the platform’s', async () => {
    const dir = await folder();
    await cp(join(ROOT, 'examples/flask'), dir, { recursive: true });
    const [server, flask, origin] = [await freePort(), await freePort(), await freePort()];
    const conf = (await readFile(join(dir, 'nginx.conf'), 'utf8'))
      .replaceAll(':8080', `:${server}`).replaceAll(':5000', `:${flask}`).replaceAll(':8000', `:${origin}`);
    await writeFile(join(dir, 'nginx.conf'), conf);
    const env = {
      PATH, HOME: dir, PYTHONDONTWRITEBYTECODE: '1',
      VEDFOLNIR_ADDR: `127.0.0.1:${server}`, VEDFOLNIR: `http://127.0.0.1:${server}`, FLASK_RUN_PORT: `${flask}`,
    };
    const [setUp, run] = [...(await readFile(join(dir, 'README.md'), 'utf8')).matchAll(/(?<=^```sh\n).*?(?=^```$)/gms)].map((m) => m[0].trim().split('\n'));
    for (const command of setUp) {
      const password = command.startsWith('vedfolnir user add') ? ' --password-stdin' : '';
      execFileSync('sh', ['-c', command + password], { cwd: dir, env, input: 'nobody will guess this' });
    }
    const url = `http://127.0.0.1:${origin}`;
    const ready = [`http://127.0.0.1:${server}/readyz`, `http://127.0.0.1:${flask}/about`, `${url}/about`];
    for (const [i, command] of run.entries()) await serve(ready[i], 'sh', ['-c', `exec ${command}`], { cwd: dir, env });

    const [one, two] = await agree(url, 'kim', 'nobody will guess this');
    await Promise.all([one, two].map(live)); // the reloaded pages
    assert.deepEqual(await heard(two, 'platformSwitched'), [], 'the page goes on reloading');
    await one.fill('input[name=text]', 'seen at dawn');
    await one.click('button:has-text("Keep")');
    await one.waitForSelector('li:has-text("seen at dawn")');
    await two.waitForFunction(() => document.querySelector('input[name=platform_id]').value === '2');
    await two.click('button:has-text("My Pixelfed")');
    await Promise.all([one, two].map((tab) => shows(tab, 'My Pixelfed')));
    await one.waitForFunction(() => !document.querySelector('li'));
    await two.click('button:has-text("Sign out")');
    await Promise.all([one, two].map((tab) => arrives(tab, '/login')));
  });
});
