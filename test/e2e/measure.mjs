// How soon a switch shows elsewhere: npm run measure.
// All on one machine with one clock, so that times of several tabs can be compared.
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { browser, live, openTab, Server, signIn } from './harness.mjs';

const ROUNDS = 200;

test('measure', async () => {
  const server = await Server.start({ SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR: '0' });
  const [here, there] = await Promise.all([browser(), browser()]);
  const context = await here.newContext();
  const one = await signIn(context, server);
  const rest = await Promise.all(Array.from({ length: 4 }, () => openTab(context, `${server.url}/`)));
  const elsewhere = await there.newContext({ storageState: await context.storageState() });
  const far = await openTab(elsewhere, `${server.url}/`);
  await Promise.all([one, ...rest, far].map(live));

  let streams = 0, requests = 0;
  const count = (request) => {
    if (request.url().includes('/api/')) requests++;
  };
  context.on('request', count);

  const ids = await one.evaluate(() => fetch('/api/user_platforms').then((r) => r.json()).then((b) => b.platforms.map((p) => p.id)));
  const near = [], farther = [];
  for (let round = 0; round < ROUNDS; round++) {
    const id = ids[(round + 1) % ids.length];
    const shown = (tab) => tab.evaluate((wanted) => new Promise((resolve) => {
      const now = () => document.querySelector(`[data-platform-id="${wanted}"][aria-current]`) && (resolve(Date.now()), true);
      if (!now()) {
        const watch = new MutationObserver(() => now() && watch.disconnect());
        watch.observe(document, { subtree: true, childList: true, attributes: true });
      }
    }), id);
    const waits = [shown(rest[3]), shown(far)];
    const began = await one.evaluate((platform) => {
      const at = Date.now();
      void window.sessionSync.switchPlatform(platform);
      return at;
    }, id);
    const [atNear, atFar] = await Promise.all(waits);
    near.push(atNear - began);
    farther.push(atFar - began);
  }
  requests = 0;
  await new Promise((resolve) => setTimeout(resolve, 60_000)); // a minute in which nobody does anything
  const idle = requests;
  const { platform } = await one.evaluate(() => fetch('/api/session_state').then((r) => r.json()));
  for (const tab of [one, ...rest]) streams += await tab.evaluate(() => navigator.locks.query().then((l) => (l.held.length ? 1 : 0)));
  const script = await (await fetch(`${server.url}/session-sync.js`)).arrayBuffer();
  console.log(`switch -> DOM of another tab      p50 ${at(near, 0.5)} ms, p99 ${at(near, 0.99)} ms, over ${ROUNDS}`);
  console.log(`switch -> DOM of another browser  p50 ${at(farther, 0.5)} ms, p99 ${at(farther, 0.99)} ms, over ${ROUNDS}`);
  console.log(`requests of five idle tabs        ${idle} in a minute: ${(idle * 60) / 5} per tab and hour (acting as ${platform.name})`);
  console.log(`script                            ${gzipSync(Buffer.from(script)).length} bytes gzip`);
});

const at = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];
