// @vitest-environment node
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compareStamps, leavesGap } from '../src/stamp.js';
import { timeLeft, weigh } from '../src/view.js';
import { advance, signedIn, stampOf } from './world.js';

const counter = fc.nat({ max: 50 });
const stamp = fc.tuple(counter, counter, counter).map((parts) => parts.join('.'));

describe('stamps', () => {
  test('are ordered by epoch, then version, then rev, as numbers', () => {
    expect(compareStamps('1.10.0', '1.9.9')).toBeGreaterThan(0);
    expect(compareStamps('2.0.0', '1.9.9')).toBeGreaterThan(0);
    expect(compareStamps('1.1.10', '1.1.9')).toBeGreaterThan(0);
    for (const none of [undefined, '', '1.2', '1.2.x', '-1.0.0', ' 1.2.3']) {
      expect(compareStamps(none, '1.2.3')).toBeUndefined();
    }
  });

  test('are in a total order', () => {
    fc.assert(
      fc.property(stamp, stamp, stamp, (a, b, c) => {
        expect(Math.sign(compareStamps(a, b)!) + Math.sign(compareStamps(b, a)!)).toBe(0);
        expect(compareStamps(a, b) === 0).toBe(a === b);
        if (compareStamps(a, b)! <= 0 && compareStamps(b, c)! <= 0) {
          expect(compareStamps(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test.for([
    ['1.1.1', '1.2.1', false],
    ['1.1.1', '1.2.2', false],
    ['1.1.1', '1.1.9', false],
    ['1.1.1', '1.3.1', true],
    ['1.1.5', '1.2.4', true],
    ['1.2.1', '1.1.2', true],
    ['1.3.1', '1.1.1', false],
    ['1.1.1', '2.9.1', false],
    [undefined, '1.9.1', false],
  ] as const)('from %s to %s leaves a gap: %s', ([known, heard, gap]) => {
    expect(leavesGap(known, heard)).toBe(gap);
  });

  test('any order of hearing ends at the highest of one session', () => {
    const states = fc.array(stamp.map((stamp) => ({ stamp, session: { session_id: 'a' } })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(states, (heard) => {
        const held = heard.reduce((held, state) =>
          weigh(held, state) === 'newer' ? state : held,
        );
        for (const { stamp } of heard) expect(compareStamps(held.stamp, stamp)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

test('lesson 40: a client clock that is wrong does not shorten the session', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e10, max: 1e10 }), fc.nat({ max: 3e6 }), (skew, later) => {
      const server = Date.UTC(2026, 0, 1);
      const iso = (ms: number) => new Date(ms).toISOString();
      const state = {
        session: {
          session_id: 'a',
          expires_at: iso(server + 3_600_000),
          idle_expires_at: iso(server + 3_000_000),
        },
        sync: { server_time: iso(server) },
      };
      const at = server + skew;
      expect(timeLeft({ state, at }, at + later)).toBe(3_000_000 - later);
    }),
  );
});

describe('tabs', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  type Step =
    | { do: 'switch'; id: number; silent: boolean }
    | { do: 'login elsewhere' }
    | { do: 'crash'; tab: number }
    | { do: 'open' }
    | { do: 'outage'; ms: number }
    | { do: 'choose'; tab: number; id: number }
    | { do: 'stop'; tab: number }
    | { do: 'go on' }
    | { do: 'leave and come back'; tab: number; ms: number }
    | { do: 'lose history'; id: number }
    | { do: 'look'; tab: number }
    | { do: 'wait'; ms: number };

  const tab = fc.nat({ max: 9 });
  const id = fc.integer({ min: 1, max: 5 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant('choose' as const), tab, id }),
    fc.record({ do: fc.constant('stop' as const), tab }),
    fc.record({ do: fc.constant('go on' as const) }),
    fc.record({ do: fc.constant('leave and come back' as const), tab, ms: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constant('lose history' as const), id }),
    fc.record({ do: fc.constant('switch' as const), id: fc.integer({ min: 1, max: 5 }), silent: fc.boolean() }),
    fc.record({ do: fc.constant('login elsewhere' as const) }),
    fc.record({ do: fc.constant('crash' as const), tab }),
    fc.record({ do: fc.constant('open' as const) }),
    fc.record({ do: fc.constant('outage' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constant('look' as const), tab }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
  );
  /** When each copy of a message arrives: none is a loss, two a duplicate, unequal a reordering. */
  const fate = fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 2 });

  test('however messages are lost, doubled or late: all end at the highest stamp within an interval', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(fate, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (steps, fates, storageEvents) => {
          const { browser, server, session } = await signedIn(3);
          let message = 0;
          browser.carry = () => fates[message++ % fates.length]!;
          browser.storageEvents = storageEvents;
          for (const { do: what, ...step } of steps as any[]) {
            const living = browser.tabs.filter((tab) => tab.alive);
            const chosen = living[step.tab % living.length];
            if (what === 'switch') {
              if (step.silent) for (const stream of [...server.streams]) stream.fail();
              server.switchTo(session, step.id);
            } else if (what === 'login elsewhere') {
              session.rev++;
              server.emit(session, 'sessions_changed', { rev: session.rev, stamp: stampOf(session) });
            } else if (what === 'crash') {
              if (living.length > 1) chosen!.crash();
            } else if (what === 'open') {
              browser.open().sync.init();
            } else if (what === 'outage') {
              server.stop();
              await advance(step.ms);
              server.down = false;
            } else if (what === 'choose') {
              // The answer is lost with the tab; a refusal is the server's to give.
              void chosen!.sync.switchPlatform(step.id).catch(() => {});
            } else if (what === 'stop') {
              chosen!.stopped = true;
            } else if (what === 'go on') {
              for (const tab of living) tab.goOn();
            } else if (what === 'leave and come back') {
              if (chosen!.stopped) continue;
              chosen!.scope.dispatchEvent(new Event('pagehide'));
              await advance(step.ms);
              chosen!.scope.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
            } else if (what === 'lose history') {
              Object.assign(session, { epoch: session.epoch + 1, version: 0 });
              server.switchTo(session, step.id);
            } else if (what === 'look') {
              if (chosen!.stopped) continue;
              chosen!.show('visible');
            } else {
              await advance(step.ms);
            }
          }
          for (const tab of browser.tabs) tab.goOn();
          // The server's return, one interval, and the slowest message.
          await advance(2000 + 2000 + 1500);
          for (const tab of browser.tabs.filter((tab) => tab.alive)) {
            expect(tab.stamp).toBe(stampOf(session));
            expect(tab.platform).toBe(session.platform!.id);
            expect(tab.of('sessionExpired')).toEqual([]);
            // Nobody ever goes back.
            const stamps = tab.of('sessionStateChanged').map(({ stamp }) => stamp);
            for (const [i, stamp] of stamps.slice(1).entries()) {
              expect(compareStamps(stamp, stamps[i])).toBeGreaterThan(0);
            }
          }
          browser.carry = () => [1];
          await advance(5000);
          // Streams that were cut three times in a row are given up for a while.
          const polling = browser.leader!.status === 'polling';
          expect(server.streams.size).toBe(polling ? 0 : 1);
          const quiet = server.requests.length;
          await advance(10_000);
          expect(server.requests.length - quiet).toBeLessThanOrEqual(polling ? 6 : 0);
          for (const tab of browser.tabs) tab.crash();
        },
      ),
      { numRuns: 100, endOnFailure: true },
    );
  });

  test('whoever ends the session and however it is heard: once in each tab', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom('idle_timeout', 'revoked_by_admin', 'signed_out'),
        fc.array(fate, { minLength: 1, maxLength: 10 }),
        fc.boolean(),
        async (count, reason, fates, polling) => {
          const { browser, server, session, tabs } = await signedIn(count, polling ? ['locks'] : []);
          let message = 0;
          browser.carry = () => fates[message++ % fates.length]!;
          const before = server.requests.length;
          server.end(session, reason === 'idle_timeout' ? 'SESSION_EXPIRED' : 'SESSION_ENDED', reason);
          await advance(10_000);
          for (const tab of tabs) {
            expect(tab.of('sessionExpired')).toMatchObject([{ reason }]);
            expect(tab.redirects).toEqual(['/login']);
          }
          expect(server.requests.length - before).toBeLessThanOrEqual(3 * count + 2);
          for (const tab of tabs) tab.crash();
        },
      ),
      { numRuns: 30, endOnFailure: true },
    );
  });
});
