// Makes the README's picture, docs/two-tabs.png: two tabs of one session, switched in
// the left one. An animated PNG (APNG, of the third edition of the PNG
// specification) is the frames' own chunks, framed: npm run picture.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { browser, live, openTab, Server, shows, signIn, switchTo } from './harness.mjs';

const WIDTH = 540, HEIGHT = 600, SECONDS = 2;

test('picture', async () => {
  const [chromium, server] = await Promise.all([browser(), Server.start()]);
  const context = await chromium.newContext({ viewport: { width: WIDTH, height: HEIGHT }, colorScheme: 'light' });
  const left = await signIn(context, server);
  const right = await openTab(context, `${server.url}/`);
  await Promise.all([left, right].map(live));
  const frame = await (await chromium.newContext({ viewport: { width: 2 * WIDTH + 36, height: HEIGHT + 24 } })).newPage();
  const frames = [];
  const shoot = async () => {
    const shots = [];
    for (const tab of [left, right]) {
      await tab.bringToFront();
      shots.push(`data:image/png;base64,${(await tab.screenshot()).toString('base64')}`);
    }
    await frame.setContent(`<style>body{margin:12px;display:flex;gap:12px;background:#8a8f98}img{border-radius:8px;width:${WIDTH}px}</style>${shots.map((s) => `<img src="${s}">`).join('')}`);
    await frame.waitForFunction(() => [...document.images].every((i) => i.complete));
    frames.push(await frame.screenshot());
  };
  await shoot();
  for (const name of ['My Mastodon', 'Work', 'My Pixelfed']) {
    await left.bringToFront();
    await switchTo(left, name);
    await Promise.all([left, right].map((tab) => shows(tab, name)));
    await shoot();
  }
  await writeFile(resolve(import.meta.dirname, '../../docs/two-tabs.png'), animated(frames.slice(0, 3)));
});

/** The chunks of a PNG, without its signature. */
function* chunks(png) {
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

function chunk(type, ...parts) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  const length = Buffer.alloc(4), sum = Buffer.alloc(4);
  length.writeUInt32BE(body.length - 4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const uint32 = (n) => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
};

function animated(pngs) {
  const header = [...chunks(pngs[0])].find((c) => c.type === 'IHDR').data;
  const out = [pngs[0].subarray(0, 8), chunk('IHDR', header), chunk('acTL', uint32(pngs.length), uint32(0))];
  let sequence = 0;
  pngs.forEach((png, i) => {
    // Width and height, no offset, the delay as a fraction, and nothing blended.
    const delay = Buffer.from([0, SECONDS, 0, 1, 0, 0]);
    out.push(chunk('fcTL', uint32(sequence++), header.subarray(0, 8), uint32(0), uint32(0), delay));
    for (const { type, data } of chunks(png)) {
      if (type === 'IDAT') out.push(i === 0 ? chunk('IDAT', data) : chunk('fdAT', uint32(sequence++), data));
    }
  });
  return Buffer.concat([...out, chunk('IEND')]);
}
