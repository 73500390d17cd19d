// What the specs stand on: a demo server of their own on a free port, with a
// database of its own, and Debian's Chromium. Nothing is left behind.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';

export const BINARY = resolve(import.meta.dirname, '../../bin/vedfolnir');
// Machines that do other things at the same time are slow; nothing is measured by it.
const PATIENCE = 45_000;

// Chromium would otherwise look for its makers' hosts at every start.
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

// Whatever was started, the last first.
const started = [];
after(async () => {
  while (started.length) await started.pop()();
});
export const atTheEnd = (stop) => void started.push(stop);

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Kept in the folder $OVERHEARD too, if there is one: make test looks for secrets in it.
function overheard(text) {
  if (process.env.OVERHEARD) appendFileSync(join(process.env.OVERHEARD, `e2e-${process.pid}`), text);
}

/**
 * A demo server; `env` holds settings, or makes them of the server. It can be killed and
 * started again on its database. With `flags` it is no demo, and has the database that
 * they name.
 */
export class Server {
  #process;
  #folder;

  static async start(env = {}, flags = undefined) {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), 'vedfolnir-e2e-'));
    server.database = join(server.#folder, 'demo.db');
    server.flags = flags ?? ['--demo', '--database', `sqlite:${server.database}`];
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    server.env = typeof env === 'function' ? env(server) : env;
    await server.up();
    atTheEnd(() => server.#end());
    return server;
  }

  async up() {
    this.output = '';
    this.#process = spawn(BINARY, ['serve', '--addr', `127.0.0.1:${this.port}`, ...this.flags], {
      env: { PATH: process.env.PATH, HOME: this.#folder, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const pipe of [this.#process.stdout, this.#process.stderr]) {
      pipe.on('data', (text) => {
        this.output += text;
        overheard(text);
      });
    }
    await until(async () => {
      if (this.#process.exitCode !== null) throw new Error(`the server ended:\n${this.output}`);
      return (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok;
    }, () => `the server is not ready:\n${this.output}`);
  }

  backup() {
    const copy = join(this.#folder, `copy-${Date.now()}.db`);
    this.command('backup', copy);
    return copy;
  }

  /** Stopped, with the copy in the database's place, and started again. */
  async restore(copy) {
    await this.kill('SIGTERM');
    await rename(copy, this.database);
    await this.up();
  }

  /** Without a word, as a crash does. */
  async kill(signal = 'SIGKILL') {
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  /** What an operator types in a terminal; returns what it prints. */
  command(...args) {
    return execFileSync(BINARY, [...args, '--database', `sqlite:${this.database}`], {
      env: { PATH: process.env.PATH, HOME: this.#folder }, encoding: 'utf8',
    });
  }

  get pid() {
    return this.#process.pid;
  }

  async #end() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.kill('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

// Ends the server, and removes its folder, when its input ends: however these specs do.
const POSTGRESQL = `
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
"$1/postgres" -D "$folder/data" -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off &
cat >/dev/null
kill -INT $!
wait $!
`;

/** A function from a database's name to its address: on the server that runs here, or else on one that is started. */
async function postgresql() {
  const { PGHOST = '127.0.0.1', PGPORT = '5432', PGUSER = 'postgres' } = process.env;
  const on = (host, port, user) => (database) => `postgres:///${database}?host=${host}&port=${port}&user=${user}&sslmode=disable`;
  const running = on(PGHOST, PGPORT, PGUSER);
  const answers = (at) => spawnSync('psql', ['-Xqw', '-c', 'SELECT 1', at('postgres')], { stdio: 'ignore' }).status === 0;
  if (answers(running)) return running;
  const newest = Math.max(...readdirSync('/usr/lib/postgresql').map(Number).filter(Boolean));
  const port = await freePort();
  const command = ['sh', '-euc', POSTGRESQL, 'sh', `/usr/lib/postgresql/${newest}/bin`, port];
  if (process.getuid() === 0) command.unshift('runuser', '-u', 'postgres', '--');
  const child = spawn(command[0], command.slice(1), { cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = once(child, 'exit');
  atTheEnd(async () => {
    child.stdin.end();
    await ended;
  });
  const started = on('127.0.0.1', port, 'postgres');
  await until(() => answers(started), 'PostgreSQL does not start');
  return started;
}

/** Whether `nodes` can be had on this machine; if not, what is missing. */
export const withoutNodes = ['/usr/sbin/nginx', '/usr/bin/psql'].find((path) => !existsSync(path));

/**
 * Several servers on one PostgreSQL database, which is gone at the end, with a person kim
 * whose platforms are `platforms`; and nginx in front of them, at the address `url`.
 */
export async function nodes(count, platforms, password) {
  const [dir, at] = await Promise.all([folder(), postgresql()]);
  const sql = (text) => execFileSync('psql', ['-Xqw', '-v', 'ON_ERROR_STOP=1', '-c', text, at('postgres')], { stdio: ['ignore', 'ignore', 'inherit'] });
  const name = `vedfolnir_e2e_${randomUUID().replaceAll('-', '')}`;
  sql(`CREATE DATABASE ${name}`);
  atTheEnd(() => sql(`DROP DATABASE ${name} WITH (FORCE)`));
  const flags = ['--database', at(name), '--keys', join(dir, 'v.keys')];
  const command = (input, ...args) => execFileSync(BINARY, [...args, ...flags], { cwd: dir, env: { PATH: process.env.PATH, HOME: dir }, input, stdio: ['pipe', 'ignore', 'inherit'] });
  command('', 'keys', 'make');
  command(password, 'user', 'add', 'kim', '--email', 'kim@example.org', '--password-stdin');
  for (const platform of platforms) command('', 'platform', 'add', 'kim', platform, '--type', 'mastodon', '--url', 'https://mastodon.example');

  const servers = [];
  while (servers.length < count) servers.push(await Server.start({}, flags));
  const [port, plain] = [await freePort(), await freePort()];
  // The browser is on this machine, so that the way to nginx needs no TLS.
  const conf = (await readFile(resolve(import.meta.dirname, '../../deploy/nginx.conf'), 'utf8'))
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port};`).replace('listen 80;', `listen 127.0.0.1:${plain};`).replace(/^\s*ssl_.*$/gm, '')
    .replace('server 127.0.0.1:8080 max_fails=0;', servers.map((s) => `server 127.0.0.1:${s.port} max_fails=0;`).join(' '));
  const user = process.getuid() === 0 ? 'user root;' : '';
  await writeFile(join(dir, 'nginx.conf'), `${user} pid nginx.pid; error_log stderr; daemon off; events {}\nhttp { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((part) => `${part}_temp_path ${part};`).join(' ')}\n${conf}\n}`);
  const url = `http://127.0.0.1:${port}`;
  await serve(`${url}/readyz`, '/usr/sbin/nginx', ['-p', dir, '-c', 'nginx.conf', '-e', 'stderr']);
  return { servers, url };
}

/** Runs a program until the specs end, and returns when it answers 200 at `url`. */
export async function serve(url, command, args, options) {
  let output = '';
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
  for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (text) => (output += text));
  const ended = once(child, 'exit');
  atTheEnd(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM'); // and what it started
    await ended;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${command} ended:\n${output}`);
    return (await fetch(url).catch(() => undefined))?.ok;
  }, () => `${command} does not answer:\n${output}`);
}

/** A folder that is gone at the end. */
export async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'vedfolnir-e2e-'));
  atTheEnd(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A browser process of its own. */
export async function browser(options = {}) {
  const b = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, ...options });
  atTheEnd(() => b.close());
  return b;
}

/** Signs in on the page, as a person does, and returns the tab. */
export async function signIn(context, server, name = 'alex', password = 'vedfolnir-demo') {
  const tab = await openTab(context, `${server.url}/login`);
  await tab.fill('#username', name);
  await tab.fill('#password', password);
  await tab.click('button.main');
  await tab.waitForURL(`${server.url}/`);
  return tab;
}

/** Opens a tab that keeps a list of the session's events in `heard`. */
export async function openTab(context, url) {
  const tab = await context.newPage();
  tab.setDefaultTimeout(PATIENCE);
  await tab.addInitScript(() => {
    window.heard = [];
    for (const name of ['sessionStateChanged', 'platformSwitched', 'sessionExpired', 'sessionExpiring', 'sessionSyncStatus']) {
      window.addEventListener(name, (event) => window.heard.push({ name, detail: structuredClone(event.detail), at: Date.now() }));
    }
  });
  await tab.goto(url);
  return tab;
}

/** Several tabs of one session, all of them live. */
export async function tabs(context, server, count) {
  const list = [await signIn(context, server)];
  while (list.length < count) list.push(await openTab(context, `${server.url}/`));
  await Promise.all(list.map(live));
  return list;
}

export const live = (tab) => status(tab, 'live');

/** Waits until the tab's last word on its connection is `want`. */
export const status = (tab, want) =>
  tab.waitForFunction((wanted) => window.heard.findLast((e) => e.name === 'sessionSyncStatus')?.detail.status === wanted, want);

export const shown = (tab) => tab.textContent('h1[data-session-platform]');

/** Waits until the tab shows that platform. */
export const shows = (tab, name) =>
  tab.waitForFunction((wanted) => document.querySelector('h1[data-session-platform]')?.textContent === wanted, name);

/** Waits until the tab is there. (A navigation that is repeated on its way counts as aborted elsewhere.) */
export const arrives = (tab, path) => until(() => new URL(tab.url()).pathname === path, () => `the tab is still at ${tab.url()}`);

/** The button of a platform. */
export const switchTo = (tab, name) => tab.click(`button[aria-label=${JSON.stringify(`Switch to ${name}`)}]`);

export const heard = (tab, name) => tab.evaluate((wanted) => window.heard.filter((e) => e.name === wanted), name);

/** Waits until the tab has heard one of that name. */
export const hears = (tab, name) =>
  tab.waitForFunction((wanted) => window.heard.some((e) => e.name === wanted), name);

/** An authenticator of the tab's, whose owner is there and touches it whenever it asks. */
export async function authenticator(tab, credentials = []) {
  const cdp = await tab.context().newCDPSession(tab);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  for (const credential of credentials) await cdp.send('WebAuthn.addCredential', { authenticatorId, credential });
  return {
    verified: (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
  };
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds wrong with the page, in a line each. */
export async function faults(tab) {
  await tab.evaluate(await readFile(axe, 'utf8')); // past the page's content policy, which allows no script of others
  const { violations } = await tab.evaluate(() => window.axe.run());
  return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`);
}

/** Asks until the answer is yes. */
export async function until(ask, complaint) {
  const end = Date.now() + PATIENCE;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(typeof complaint === 'function' ? complaint() : complaint);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
