// @vitest-environment node
// docs/session-sync.md names all there is, and nothing that is not.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as exported from '../src/index.js';

const file = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = file('../../docs/session-sync.md');
const spans = new Set(page.match(/`[^`\n]+`/g)!.flatMap((span) => span.match(/[\w-]+/g)!));

const sync = new exported.SessionSync({ Date, navigator: {} } as exported.Scope);
const members = [...Object.getOwnPropertyNames(exported.SessionSync.prototype), ...Object.keys(sync)].filter(
  (name) => name !== 'constructor',
);
const events = [...file('../src/events.ts').matchAll(/^ {2}(\w+): CustomEvent/gm)].map(([, name]) => name!);

test('the documentation names every method, property and event, and all that is exported', () => {
  expect(members).toContain('switchPlatform');
  expect(events).toContain('platformSwitched');
  const names = [
    ...members,
    ...events,
    ...Object.keys(exported),
    ...Object.keys(sync.getPerformanceMetrics()),
    ...Object.keys(sync.getSnapshot()),
  ];
  expect(names.filter((name) => !spans.has(name))).toEqual([]);
});

test('the documentation names no method and no event that is not there', () => {
  const section = (title: string) => page.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;
  const methods = [...section('Methods').matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)\(/g)].map((m) => m[1]!));
  expect(methods.length).toBeGreaterThan(15);
  expect(methods.filter((name) => !members.includes(name))).toEqual([]);
  const told = [...section('Events on window').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(events.sort());
});
