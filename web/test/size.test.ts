// @vitest-environment node
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const file = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url));
const { sizeBudget } = JSON.parse(file('package.json').toString());

test.for(Object.entries<number>(sizeBudget))('%s keeps within %d bytes gzipped', ([path, budget]) => {
  expect(gzipSync(file(path), { level: 9 }).length).toBeLessThanOrEqual(budget);
});

test('no script writes HTML', () => {
  for (const path of Object.keys(sizeBudget)) {
    expect(file(path).toString()).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  }
});
