// What can be seen of the client from outside: its metrics, its log, its panel.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { VedfolnirDebug } from '../src/session-debug.js';
import { advance, signedIn } from './world.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe('the metrics', () => {
  test('say who leads, and by what the tabs keep in touch', async () => {
    const { tabs, server } = await signedIn(2);
    const roles = () => tabs.map(({ sync }) => sync.getPerformanceMetrics().role);
    const transports = () => tabs.map(({ sync }) => sync.getPerformanceMetrics().transport);
    expect(roles()).toEqual(['leader', 'follower']);
    expect(transports()).toEqual(['stream', 'stream']);
    server.stop();
    await advance(1000);
    expect(transports()).toEqual(['none', 'none']);
    server.down = false;
    await advance(3000);
    expect(transports()).toEqual(['stream', 'stream']);
    expect(tabs[0]!.sync.getPerformanceMetrics().reconnects).toBeGreaterThan(0);
    expect(tabs[1]!.sync.getPerformanceMetrics().reconnects).toBe(0);
  });

  test('of a tab that polls for itself', async () => {
    const { tabs } = await signedIn(1, ['EventSource']);
    await advance(2500);
    const { role, transport, requests, requestsPerHour } = tabs[0]!.sync.getPerformanceMetrics();
    expect([role, transport]).toEqual(['alone', 'polling']);
    expect(requestsPerHour).toBeCloseTo(requests * 60);
    await advance(3_600_000 - 2650);
    const after = tabs[0]!.sync.getPerformanceMetrics();
    expect(after.requestsPerHour).toBeGreaterThan(1700);
    expect(after.requestsPerHour).toBeLessThan(1900);
  });

  test('say how long news took, beyond the quickest', async () => {
    const { browser, tabs, server, session } = await signedIn(2);
    const [, two] = tabs;
    expect(two!.sync.getPerformanceMetrics().deliveryP99).toBeLessThan(10);
    for (let i = 0; i < 30; i++) {
      browser.carry = () => [i % 10 === 0 ? 300 : 1];
      server.switchTo(session, 1 + (i % 2));
      await advance(1000);
    }
    const { deliveryP50, deliveryP99 } = two!.sync.getPerformanceMetrics();
    expect(deliveryP50).toBeLessThan(10);
    expect(deliveryP99).toBeGreaterThan(deliveryP50);
  });

  test('are zeros before there is anything', async () => {
    const { browser } = await signedIn(0);
    const metrics = browser.open().sync.getPerformanceMetrics();
    expect(metrics).toMatchObject({ syncCount: 0, errorRate: 0, avgSyncTime: 0, deliveryP50: 0, deliveryP99: 0, requestsPerHour: 0, transport: 'none' });
  });
});

test('debugMode logs what happens, and never a secret', async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'debug').mockImplementation((...line) => void lines.push(JSON.stringify(line)));
  const { tabs, server, session, browser } = await signedIn(1);
  expect(lines).toEqual([]);
  const [tab] = tabs;
  tab!.sync.debugMode = true;
  expect(tab!.sync.debugMode).toBe(true);
  browser.cookie = session.handle;
  void tab!.sync.switchPlatform(2);
  await advance(500);
  void tab!.sync.fetch('/posts', { method: 'POST' });
  await advance(500);
  const log = lines.join('\n');
  expect(log).toContain('platformSwitched');
  expect(log).toContain(tab!.sync.getTabId());
  expect(log).not.toContain(server.token);
  tab!.sync.debugMode = false;
  const before = lines.length;
  void tab!.sync.switchPlatform(1);
  await advance(500);
  expect(lines).toHaveLength(before);
});

describe('the panel', () => {
  const text = (panel: Element) => panel.shadowRoot!.textContent!.replace(/\s+/g, ' ');

  test('shows what it is given, keeps up, and hears nothing once it is gone', async () => {
    const { tabs } = await signedIn(2);
    const panel = document.createElement('vedfolnir-debug') as VedfolnirDebug;
    panel.sync = tabs[1]!.sync;
    document.body.append(panel);
    await advance(10);
    expect(text(panel)).toContain('Acts asPlatform 1');
    expect(text(panel)).toContain('Rolefollower');
    void tabs[0]!.sync.switchPlatform(2);
    await advance(200);
    expect(text(panel)).toContain('Acts asPlatform 2');
    expect(panel.shadowRoot!.querySelector('ol')!.textContent).toContain('platform');
    panel.remove();
    const before = text(panel);
    void tabs[0]!.sync.switchPlatform(1);
    await advance(2000);
    expect(text(panel)).toBe(before);
  });

  test('writes names as text', async () => {
    const { tabs, session, server } = await signedIn(1);
    session.platform = { id: 9, name: '<img src=x onerror=alert(1)>', type: 'mastodon' };
    session.version++;
    server.emit(session, 'platform_switched', server.stateOf(session));
    const panel = Object.assign(document.createElement('vedfolnir-debug'), { sync: tabs[0]!.sync });
    document.body.append(panel);
    await advance(1500);
    expect(text(panel)).toContain('<img src=x');
    expect(panel.shadowRoot!.querySelector('img')).toBeNull();
  });

  test('says that there is nothing to show, until there is', async () => {
    const panel = document.createElement('vedfolnir-debug');
    document.body.append(panel);
    expect(text(panel)).toContain('No SessionSync');
    const { tabs } = await signedIn(1);
    vi.stubGlobal('sessionSync', tabs[0]!.sync);
    await advance(1100);
    expect(text(panel)).toContain('Signed inada');
    vi.unstubAllGlobals();
  });
});
