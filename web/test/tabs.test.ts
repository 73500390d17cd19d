// @vitest-environment node
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { advance, signedIn } from './world.js';

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
afterEach(() => void vi.useRealTimers());

describe('one leader', () => {
  test('holds the one stream; a switch reaches every tab, and each says so once', async () => {
    const { server, session, tabs } = await signedIn(5);
    expect(server.streams.size).toBe(1);
    const before = server.requests.length;
    server.switchTo(session, 2);
    await advance(20);
    for (const tab of tabs) {
      expect(tab.platform).toBe(2);
      expect(tab.of('platformSwitched')).toEqual([
        { platformId: 2, platformName: 'Platform 2', platformType: 'mastodon', stamp: '1.2.1' },
      ]);
    }
    expect(server.requests.length).toBe(before);
  });
});
