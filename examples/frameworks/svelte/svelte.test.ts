// A SessionSync is a Svelte store as it is: in a component, `$sync.state`.
import { derived, get, type Readable } from 'svelte/store';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Snapshot } from '@vedfolnir/session-sync';
import { advance, signedIn } from '../../../web/test/world.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('Svelte: the client is a store, from which others derive', async () => {
  const { tabs } = await signedIn(2);
  const sync: Readable<Snapshot> = tabs[1]!.sync;
  expect(get(sync).state?.user?.username).toBe('ada');
  const names: (string | undefined)[] = [];
  const stop = derived(sync, ({ state }) => state?.platform?.name).subscribe((name) => names.push(name));
  void tabs[0]!.sync.switchPlatform(2);
  await advance(200);
  expect(names).toEqual(['Platform 1', 'Platform 2']);
  stop();
  void tabs[0]!.sync.switchPlatform(1);
  await advance(200);
  expect(names).toHaveLength(2);
});
