// @vitest-environment node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Browser, type Tab } from './world.js';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const script = read('../../sessionhttp/static/session-sync.js');
const SCRIPT = new URL('../../sessionhttp/static/session-sync.js', import.meta.url);
const snippet = (name: string) => read(`specification/${name}.js`);

let browser: Browser;
let tab: Tab;
let run: (source: string) => any;
let log: ReturnType<typeof vi.fn>;

/** A window of its own, in which scripts run as a page's classic scripts do. */
beforeEach(() => {
  browser = new Browser();
  browser.server.signIn('x', 7, 'ada');
  browser.cookie = 'x';
  tab = browser.open();
  log = vi.fn();
  const console = { log, error: log, debug: log };
  const page: any = Object.assign(tab.scope, {
    console, Headers, URL, AbortController, Event, ErrorEvent: Object,
  });
  page.window = page.self = page;
  delete page.Date;
  vm.createContext(page);
  run = (source) =>
    vm.runInContext(source, page, {
      // The parts come from beside the script, as in a browser.
      filename: fileURLToPath(SCRIPT),
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
  tab.document.currentScript = null;
});

const settled = (ms = 60) => new Promise((resolve) => setTimeout(resolve, ms));
const load = (auto = false) => {
  tab.document.currentScript = { dataset: auto ? { auto: '' } : {} };
  run(script);
};

describe('the classic script', () => {
  test('sets properties of window, which a page may shadow by declarations of its own', () => {
    load();
    for (const name of ['SessionSync', 'SessionErrorHandler', 'debounce']) {
      expect(run(`Object.getOwnPropertyDescriptor(window, '${name}')`)).toMatchObject({
        configurable: true,
        writable: true,
      });
    }
    expect(() => run('const sessionSync = new SessionSync(); class SessionErrorHandler {}')).not.toThrow();
    expect(() => run('const debounce = 1')).not.toThrow();
  });

  test('starts nothing by itself', async () => {
    load();
    await settled();
    expect(browser.server.requests).toEqual([]);
    expect(run('window.sessionSync')).toBeUndefined();
  });

  test('starts by itself when its tag says data-auto', async () => {
    load(true);
    await settled();
    expect(run('window.sessionSync.isInitialized')).toBe(true);
    expect(tab.platform).toBe(1);
    run('window.sessionSync.init()()');
  });

  test('lesson 11: init sets window.sessionSync, whatever the page calls its own', () => {
    load();
    run('const sessionSync = new SessionSync(); var stop = sessionSync.init()');
    expect(run('window.sessionSync === sessionSync')).toBe(true);
    run('stop()');
  });
});

describe('the specification’s snippets run as written', () => {
  test('SessionSync class, manual sync, error handling, performance, debugging', async () => {
    load();
    // What these leave to the page.
    run('var shown = []; function updatePlatformUI(p) { shown.push(p.name) }');
    run('var platformId = 2, platformName = "Platform 2"');
    run(snippet('session-sync'));
    run(snippet('error-handling'));
    await settled();
    expect(run('shown')).toEqual(['Platform 1']);
    run(snippet('performance'));
    run(snippet('debugging'));
    expect(run('status')).toMatchObject({ isInitialized: true, isOnline: true });
    expect(run('status').tabId).toBe(run('window.sessionSync.getTabId()'));
    browser.server.switchTo(browser.server.sessions.get('x')!, 2);
    run(snippet('manual-sync'));
    await settled();
    expect(log).toHaveBeenCalledWith('Platform switched to:', 'Platform 2');
    browser.server.end(browser.server.sessions.get('x')!, 'SESSION_EXPIRED', 'lifetime');
    await settled();
    expect(log).toHaveBeenCalledWith('Session expired, redirecting to login');
    run('window.sessionSync.init()()');
  });

  test('usage and CSRF', async () => {
    load();
    run(snippet('usage'));
    run(snippet('csrf'));
    await settled();
    expect(log).toHaveBeenCalledWith('Current platform:', 'Platform 1');
    expect(log).toHaveBeenCalledWith('Session type:', 'integrated');
    expect(browser.server.requests.at(-1)!.headers.get('X-CSRFToken')).toBe('token-1');
  });
});
