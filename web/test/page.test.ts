import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { handleSessionErrors, SessionErrorHandler, SessionSync } from '../src/index.js';

const iso = (ms: number) => new Date(ms).toISOString();
const HTML = '<img src=x onerror=alert(1)>';

let state: any;
/** How far this machine's clock is ahead of the server's, in ms. */
let skew: number;
let stop: () => void;
let sync: SessionSync;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
  const now = Date.now();
  skew = 0;
  state = {
    success: true,
    user: { id: 7, username: HTML, email: 'ada@example.test' },
    platform: { id: 1, name: HTML, type: 'pixelfed', instance_url: 'https://px.test' },
    session: {
      session_id: 'h',
      expires_at: iso(now + 3_725_000),
      idle_expires_at: iso(now + 9_000_000),
    },
    stamp: '1.1.1',
  };
  document.head.replaceChildren();
  document.body.replaceChildren();
  const meta = document.head.appendChild(document.createElement('meta'));
  meta.name = 'csrf-token';
  meta.content = 'the-token';
  vi.stubGlobal(
    'fetch',
    vi.fn(async () => ({
      ok: true,
      status: 200,
      json: async () => ({ ...state, sync: { server_time: iso(Date.now() - skew) } }),
    })),
  );
  sync = new SessionSync();
  stop = () => {};
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function show(attribute: string, text = 'from the server'): HTMLElement {
  const element = document.body.appendChild(document.createElement('span'));
  element.setAttribute(attribute, '');
  element.textContent = text;
  return element;
}

function form(names: string[]): HTMLFormElement {
  const form = document.body.appendChild(document.createElement('form'));
  form.setAttribute('data-session-form', '');
  for (const name of names) {
    const input = form.appendChild(document.createElement('input'));
    input.name = name;
    input.value = 'old';
  }
  return form;
}

const values = (form: HTMLFormElement) => [...form.querySelectorAll('input')].map(({ value }) => value);

/** What works on the elements is loaded on demand. */
async function init(): Promise<void> {
  stop = sync.init();
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(50);
}

describe('buttons', () => {
  const press = async (attribute: string, value: string) => {
    const form = document.body.appendChild(document.createElement('form'));
    const sent = vi.fn();
    form.addEventListener('submit', sent);
    const button = form.appendChild(document.createElement('button'));
    button.setAttribute(attribute, value);
    await init();
    vi.mocked(fetch).mockClear();
    button.appendChild(document.createElement('b')).click();
    await vi.advanceTimersByTimeAsync(50);
    expect(sent).not.toHaveBeenCalled();
    return vi.mocked(fetch).mock.calls.map(([url, request]) => `${request?.method} ${url}`);
  };

  test('switch the platform', async () => {
    expect(await press('data-session-switch', '12')).toContain('POST /api/switch_platform/12');
  });

  test('pin this tab to what it shows, and let it follow again', async () => {
    const platforms = [{ id: 1, name: HTML, platform_type: 'pixelfed', instance_url: 'https://px.test' }];
    const state = vi.mocked(fetch).getMockImplementation()!;
    vi.mocked(fetch).mockImplementation(async (path, init) =>
      path === '/api/user_platforms'
        ? ({ ok: true, status: 200, json: async () => ({ platforms }) } as Response)
        : state(path, init),
    );
    expect(await press('data-session-pin', '')).toContain('GET /api/user_platforms');
    const root = document.documentElement;
    expect(root.hasAttribute('data-session-pinned')).toBe(true);
    document.querySelector<HTMLElement>('[data-session-pin]')!.click();
    expect(root.hasAttribute('data-session-pinned')).toBe(false);
    expect(sync.getSnapshot().pinned).toBe(false);
  });

  test('a switch shows at once: by its name, or at least not by the old one', async () => {
    const platform = show('data-session-platform');
    const hidden = form(['platform_id']);
    await init();
    vi.mocked(fetch).mockImplementation(() => new Promise(() => {}));
    void sync.switchPlatform(2, 'Two');
    expect([platform.textContent, values(hidden)]).toEqual(['Two', ['2']]);
    expect(document.documentElement.hasAttribute('data-session-pending')).toBe(true);
    void sync.switchPlatform(3);
    expect([platform.textContent, values(hidden)]).toEqual(['…', ['3']]);
  });

  test('a switch that is refused is taken back, and the server’s words are reported', async () => {
    const platform = show('data-session-platform');
    const reported = vi.fn();
    vi.stubGlobal('reportError', reported);
    const button = document.body.appendChild(document.createElement('button'));
    button.setAttribute('data-session-switch', '2');
    button.setAttribute('data-session-name', 'Two');
    await init();
    vi.mocked(fetch).mockResolvedValue({ ok: false, status: 403, json: async () => ({ error: 'Not today' }), clone: () => ({ json: async () => ({}) }) } as any);
    button.click();
    expect(platform.textContent).toBe('Two');
    await vi.advanceTimersByTimeAsync(50);
    expect(platform.textContent).toBe(HTML);
    expect(reported.mock.calls.map(([error]) => error.message)).toEqual(['Not today']);
  });

  test('sign out', async () => {
    expect(await press('data-session-sign-out', '')).toContain('POST /logout');
  });
});

describe('the page', () => {
  test('lesson 14: names are text, whatever they hold', async () => {
    const user = show('data-session-user');
    const platform = show('data-session-platform');
    const rest = ['type', 'url'].map((name) => show(`data-session-platform-${name}`));
    const email = show('data-session-email');
    await init();
    expect(user.textContent).toBe(HTML);
    expect(platform.textContent).toBe(HTML);
    expect(document.querySelector('img')).toBeNull();
    expect(rest.map((element) => element.textContent)).toEqual(['pixelfed', 'https://px.test']);
    expect(email.textContent).toBe('ada@example.test');
    expect(show('data-session-status').textContent).toBe('from the server');
  });

  test('lesson 40: the countdown runs by the server’s clock', async () => {
    const expires = show('data-session-expires');
    skew = 86_400_000;
    vi.setSystemTime(Date.now() + skew);
    await init();
    expect(expires.textContent).toBe('1:02:05');
    await vi.advanceTimersByTimeAsync(126_000);
    expect(expires.textContent).toBe('59:59');
    vi.setSystemTime(Date.now() + 3_593_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(expires.textContent).toBe('0:05');
  });

  test('forms say as whom and as what they were filled in, those added later too', async () => {
    const early = form(['platform_id', 'csrf_token', 'text']);
    await init();
    expect(values(early)).toEqual(['1', 'the-token', 'old']);
    const late = form(['csrf_token', 'platform_id']);
    late.addEventListener('submit', (event) => event.preventDefault());
    late.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
    expect(values(late)).toEqual(['the-token', '1']);
  });

  test('a form marked data-platform-form gets the hidden input that it lacks, once', async () => {
    const form = document.body.appendChild(document.createElement('form'));
    form.setAttribute('data-platform-form', '');
    await init();
    await Promise.all([sync.syncSessionState(), vi.advanceTimersByTimeAsync(50)]);
    const inputs = [...form.querySelectorAll('input')].map(({ type, name, value }) => [type, name, value]);
    expect(inputs).toEqual([['hidden', 'platform_id', '1']]);
  });

  test('what works on elements is loaded for one that comes later, and destroy() stops it', async () => {
    await init();
    const user = show('data-session-user');
    state = { ...state, stamp: '1.2.1' };
    await Promise.all([sync.syncSessionState(), vi.advanceTimersByTimeAsync(50)]);
    await vi.dynamicImportSettled();
    expect(user.textContent).toBe(HTML);
    sync.destroy();
    user.textContent = 'mine';
    state = { ...state, stamp: '1.3.1' };
    await Promise.all([sync.syncSessionState(), vi.advanceTimersByTimeAsync(5000)]);
    expect(user.textContent).toBe('mine');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a form follows the platform that the tab shows', async () => {
    const platform = form(['platform_id']);
    await init();
    state = { ...state, platform: { id: 2, name: 'Two' }, stamp: '1.2.1' };
    await Promise.all([sync.syncSessionState(), vi.advanceTimersByTimeAsync(50)]);
    expect(values(platform)).toEqual(['2']);
  });

  test('a form without a token to give keeps the one it came with', async () => {
    document.head.replaceChildren();
    const early = form(['csrf_token']);
    await init();
    expect(values(early)).toEqual(['old']);
  });

  test('at the end what showed the person is empty', async () => {
    const user = show('data-session-user');
    const hidden = form(['platform_id']);
    await init();
    window.addEventListener('sessionExpired', (event) => event.preventDefault(), { once: true });
    vi.mocked(fetch).mockResolvedValue({ ok: false, status: 401, json: async () => ({}) } as Response);
    await Promise.all([sync.syncSessionState(), vi.advanceTimersByTimeAsync(500)]);
    expect(user.textContent).toBe('');
    expect(values(hidden)).toEqual(['']);
  });

  test('before the first answer, what the server rendered stays', async () => {
    const user = show('data-session-user');
    const expires = show('data-session-expires');
    vi.mocked(fetch).mockRejectedValue(new TypeError('down'));
    await init();
    await vi.advanceTimersByTimeAsync(1500);
    expect(user.textContent).toBe('from the server');
    expect(expires.textContent).toBe('from the server');
  });
});

describe('errors', () => {
  test('an outage reaches the specification’s listener once, and is shown', async () => {
    const showNotification = vi.fn();
    vi.stubGlobal('errorHandler', { showNotification });
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const unhandle = handleSessionErrors(globalThis as any);
    vi.mocked(fetch).mockRejectedValue(new TypeError('down'));
    await sync.syncSessionState();
    await sync.syncSessionState();
    unhandle();
    expect(showNotification.mock.calls).toEqual([
      ['Network error. Please check your connection.', 'warning'],
    ]);
  });

  test('the handler knows expiry, network and the rest by their words', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const expired = vi.spyOn(SessionErrorHandler, 'handleSessionExpired').mockImplementation(() => {});
    const shown = vi.spyOn(SessionErrorHandler, 'showErrorNotification').mockImplementation(() => {});
    for (const words of ['has expired', 'a network error', 'something else']) {
      SessionErrorHandler.handleSessionError(new Error(words), 'session');
    }
    expect(expired).toHaveBeenCalledTimes(1);
    expect(shown.mock.calls).toEqual([
      ['Network error. Please check your connection.', 'warning'],
      ['something else'],
    ]);
  });
});
