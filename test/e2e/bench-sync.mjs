// make bench-sync: how soon a switch shows elsewhere, and what thirty idle tabs cost, one of
// them in front; the same for a page that polls every two seconds, as the specification's first
// client did; and what thirty tabs without either cost, to be taken off.
// All is on one machine with one clock, so that the times of several tabs can be compared.
import { readFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { browser, freePort, live, openTab, Server, signIn } from './harness.mjs';

const TABS = 30;
const ROUNDS = Number(process.env.ROUNDS ?? 200);
const IDLE_SECONDS = Number(process.env.IDLE_SECONDS ?? 60);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- the two clients ---

const sessionSync = {
  name: 'SessionSync',
  rounds: ROUNDS,
  async open(context, server) {
    const tab = await openTab(context, `${server.url}/`);
    await live(tab);
    await tab.evaluate(() => {
      window.legs = [];
      window.sessionSync.onMessage(({ at, source, kind, sentAt }) => window.legs.push({ at, source, kind, sentAt }));
      window.choose = (id) => window.sessionSync.switchPlatform(id);
      window.shows = (id) => !!document.querySelector(`[data-platform-id="${id}"][aria-current]`);
    });
    return tab;
  },
};

const polling = {
  name: 'polls every 2 s',
  rounds: Math.max(20, ROUNDS / 5),
  async open(context, server) {
    // A page of this origin that runs no script of ours.
    const tab = await openTab(context, `${server.url}/readyz`);
    await tab.evaluate(async () => {
      const KEY = 'vedfolnir_session_state';
      const title = document.body.appendChild(document.createElement('h1'));
      const show = ({ platform }) => {
        if (title.dataset.id === String(platform.id)) return;
        title.dataset.id = platform.id;
        title.textContent = platform.name;
      };
      const sync = async () => {
        const answer = await fetch('/api/session_state', { credentials: 'same-origin' });
        const state = await answer.json();
        show(state);
        localStorage.setItem(KEY, JSON.stringify({ platform: state.platform, at: Date.now() }));
      };
      window.addEventListener('storage', ({ key, newValue }) => key === KEY && newValue && show(JSON.parse(newValue)));
      window.addEventListener('focus', sync);
      window.choose = async (id) => {
        const { csrf_token } = await (await fetch('/api/csrf')).json();
        await fetch(`/api/switch_platform/${id}`, {
          method: 'POST', credentials: 'same-origin', headers: { 'Content-Type': 'application/json', 'X-CSRFToken': csrf_token }, body: '{}',
        });
        await sync();
      };
      window.shows = (id) => title.dataset.id === String(id);
      await sync();
      setInterval(sync, 2000);
    });
    return tab;
  },
};

/** What thirty tabs cost that do nothing. */
const nothing = {
  name: 'no client',
  rounds: 0,
  open: (context, server) => openTab(context, `${server.url}/readyz`),
};

/** Only one tab is in front of somebody; without a screen a browser calls all of them visible. */
const hide = (tab) => tab.evaluate(() => {
  Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
});

// --- what is measured ---

/** When the tab's DOM shows the platform, in ms since the epoch. */
const shown = (tab, id) => tab.evaluate((wanted) => new Promise((resolve) => {
  const now = () => window.shows(wanted) && (resolve(performance.timeOrigin + performance.now()), true);
  if (now()) return;
  const watch = new MutationObserver(() => now() && watch.disconnect());
  watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
}), id);

const choose = (tab, id) => tab.evaluate((platform) => {
  const at = performance.timeOrigin + performance.now();
  void window.choose(platform);
  return at;
}, id);

/** Seconds of processor time that all processes of a browser have used. */
async function browserSeconds(chromium) {
  const cdp = await chromium.newBrowserCDPSession();
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  await cdp.detach();
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

/** The same of the server (Linux: utime and stime, in hundredths). */
async function serverSeconds(server) {
  const fields = (await readFile(`/proc/${server.pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The sum of a metric over its labels, where these hold the text. */
async function metric(server, name, labels = '') {
  const text = await (await fetch(`${server.admin}/metrics`)).text();
  return text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function measure(client) {
  const port = await freePort();
  const server = await Server.start({ SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR: '0', VEDFOLNIR_ADMIN_ADDR: `127.0.0.1:${port}` });
  server.admin = `http://127.0.0.1:${port}`;
  const [here, there] = await Promise.all([browser(), browser()]);
  const context = await here.newContext();
  await (await signIn(context, server)).close();
  const one = await client.open(context, server);
  const rest = [];
  while (rest.length < 4) rest.push(await client.open(context, server));
  const elsewhere = await there.newContext({ storageState: await context.storageState() });
  const far = await client.open(elsewhere, server);
  const near = rest[2];
  const ids = client.rounds && await one.evaluate(() => fetch('/api/user_platforms').then((r) => r.json()).then((b) => b.platforms.map((p) => p.id)));

  const result = { near: [], far: [], legs: [] };
  for (let round = 0; round < client.rounds; round++) {
    const id = ids[(round + 1) % ids.length];
    // At no fixed point of anybody's interval, and after what the last one left to do.
    await wait(400 + Math.random() * 400);
    const waits = [shown(near, id), shown(far, id)];
    const began = await choose(one, id);
    const [atNear, atFar] = await Promise.all(waits);
    result.near.push(atNear - began);
    result.far.push(atFar - began);
    result.legs.push(await legs(near, began, atNear));
  }
  await elsewhere.close();

  while (rest.length < TABS - 1) rest.push(await client.open(context, server));
  await Promise.all(rest.map(hide));
  await wait(5000);
  result.streams = await metric(server, 'vedfolnir_streams_open');
  const figures = () => Promise.all([browserSeconds(here), serverSeconds(server), metric(server, 'vedfolnir_http_requests_total', '/api/')]);
  const before = await figures();
  await wait(IDLE_SECONDS * 1000);
  const after = await figures();
  [result.browserCPU, result.serverCPU, result.requests] = after.map((figure, i) => (figure - before[i]) / IDLE_SECONDS);
  await Promise.all([here.close(), there.close()]);
  return result;
}

/** Of one switch: until the leader heard, until the channel brought it, until the DOM showed it. */
async function legs(tab, began, atDOM) {
  const told = await tab.evaluate((since) => window.legs?.filter(({ at }) => at >= since), Math.floor(began));
  const first = told?.find(({ source, sentAt, kind }) => source === 'channel' && sentAt && kind !== 'hint');
  const stream = told?.find(({ source }) => source === 'stream');
  if (stream && !(first?.at < stream.at)) return { heard: stream.at - began, channel: 0, dom: atDOM - stream.at };
  return first && { heard: first.sentAt - began, channel: first.at - first.sentAt, dom: atDOM - first.at };
}

// --- the table ---

const at = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];
const spread = (list) => !list.length ? '-' : `${at(list, 0.5).toFixed(1)} / ${at(list, 0.99).toFixed(1)} ms`;

test('bench-sync', async () => {
  const columns = [];
  for (const client of [sessionSync, polling, nothing]) columns.push({ ...await measure(client), name: client.name, rounds: client.rounds });
  const script = gzipSync(await readFile(new URL('../../sessionhttp/static/session-sync.js', import.meta.url)), { level: 9 }).length;
  const row = (label, of) => console.log(`${label.padEnd(46)}${columns.map((c) => String(of(c)).padStart(20)).join('')}`);
  console.log(`${cpus().length} processors, load ${loadavg().map((l) => l.toFixed(1)).join(' ')}`);
  row('', (c) => c.name);
  row('switch -> DOM of another tab, p50 / p99', (c) => spread(c.near));
  row('switch -> DOM of another browser, p50 / p99', (c) => spread(c.far));
  row('  of so many switches', (c) => c.rounds);
  row(`${TABS} tabs: streams`, (c) => c.streams);
  row('  requests per hour, all of them idle', (c) => Math.round(c.requests * 3600));
  row('  processor time of the browser, idle', (c) => `${(c.browserCPU * 100).toFixed(1)} %`);
  row('  processor time of the server, idle', (c) => `${(c.serverCPU * 100).toFixed(2)} %`);
  row('script, gzip', (c) => (c.name === sessionSync.name ? `${script} bytes` : '-'));
  const parts = columns[0].legs.filter(Boolean);
  console.log(`\nwhere the time goes to another tab, p50 / p99`);
  for (const [leg, label] of [['heard', 'switch -> a tab hears the server'], ['channel', 'from tab to tab'], ['dom', 'heard -> DOM']]) {
    console.log(`  ${label.padEnd(44)}${spread(parts.map((p) => p[leg])).padStart(20)}`);
  }
});
