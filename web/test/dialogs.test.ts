import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { handleSessionErrors, SessionErrorHandler, SessionSync } from '../src/index.js';

const iso = (ms: number) => new Date(ms).toISOString();

let sync: SessionSync;
let ends: number;
let signedIn: boolean;
let refreshed: () => Response | undefined;
let requests: string[];
let sent: unknown; // to sign in

const answer = (status: number, body: object) =>
  ({ ok: status < 300, status, headers: new Headers(), json: async () => body, clone: () => answer(status, body) }) as unknown as Response;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
  document.body.replaceChildren();
  document.head.replaceChildren();
  const meta = document.head.appendChild(document.createElement('meta'));
  Object.assign(meta, { name: 'csrf-token', content: 'old' });
  ends = Date.now() + 240_000;
  signedIn = true;
  refreshed = () => undefined;
  requests = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit = {}) => {
    requests.push(path);
    if (path === '/api/csrf') return answer(200, { csrf_token: 'new' });
    if (path === '/login') {
      sent = JSON.parse(String(init.body));
      if (!String(init.body).includes('secret')) return answer(401, { error: 'Wrong name or password.' });
      signedIn = true;
      return answer(200, { success: true });
    }
    if (!signedIn) return answer(401, { error_code: 'SESSION_EXPIRED', reason: 'lifetime' });
    if (path === '/api/session/refresh') {
      const refusal = refreshed();
      if (refusal) return refusal;
      ends = Date.now() + 3_600_000;
      return answer(200, { success: true });
    }
    return answer(200, {
      success: true,
      user: { id: 7, username: 'ada' },
      platform: { id: 1, name: 'One' },
      session: { session_id: 'h', expires_at: iso(ends), idle_expires_at: iso(ends) },
      sync: { server_time: iso(Date.now()) },
      stamp: '1.1.1',
    });
  });
  localStorage.clear();
});

afterEach(() => {
  sync.destroy();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

async function start(options?: ConstructorParameters<typeof SessionSync>[1]): Promise<void> {
  sync = new SessionSync(globalThis as any, options);
  sync.init();
  await settle();
}

/** What is loaded on demand has come, and has done its work. */
async function settle(ms = 50): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(ms);
}

const dialog = () => document.querySelector('dialog');
const press = async (text: string) => {
  [...document.querySelectorAll('button')].find((button) => button.textContent === text)!.click();
  await settle();
};
const hide = (hidden: boolean) => {
  Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
};

test('the prompt is a named, described modal dialog whose first button stays signed in', async () => {
  await start();
  const shown = dialog()!;
  expect(shown.open).toBe(true);
  const text = (attribute: string) => document.getElementById(shown.getAttribute(attribute)!)!.textContent;
  expect(text('aria-labelledby')).toBe('Do you want to stay signed in?');
  expect(text('aria-describedby')).toMatch(/^You will be signed out in \d/);
  await settle(2000);
  expect(text('aria-describedby')).toMatch(/in 3:5\d\./);
  await press('Stay signed in');
  expect(dialog()).toBeNull();
  expect(requests).toContain('/api/session/refresh');
});

test('goes when somebody in another tab has answered', async () => {
  await start();
  expect(dialog()).not.toBeNull();
  ends = Date.now() + 3_600_000;
  void sync.syncSessionState();
  // An unchanged stamp with other deadlines is how another tab's answer arrives.
  await settle(2500);
  expect(dialog()).toBeNull();
});

test('says what went wrong, and stays', async () => {
  await start();
  refreshed = () => answer(403, { error: 'Not today' });
  await press('Stay signed in');
  expect(dialog()!.querySelector('[role=alert]')!.textContent).toBe('Not today');
});

test('is not loaded where the page shows its own, or wants none', async () => {
  await start({ prompt: false });
  expect(dialog()).toBeNull();
  sync.destroy();
  const prevent = (event: Event) => event.preventDefault();
  window.addEventListener('sessionExpiring', prevent);
  await start();
  window.removeEventListener('sessionExpiring', prevent);
  expect(dialog()).toBeNull();
});

test('a tab that is hidden leaves it to another one that somebody sees', async () => {
  const waiting: (() => void)[] = [];
  let held = false;
  vi.stubGlobal('navigator', {
    onLine: true,
    locks: {
      request: (name: string, { signal }: { signal: AbortSignal }, work: () => Promise<void>) =>
        name.endsWith('_prompt')
          ? new Promise<void>((resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason));
              waiting.push(() => {
                held = true;
                void work().then(() => {
                  held = false;
                  resolve();
                });
              });
            })
          : new Promise(() => {}),
    },
  });
  await start();
  expect(dialog()).toBeNull(); // another tab shows it
  waiting.shift()!();
  expect(dialog()!.open).toBe(true);
  hide(true);
  await settle();
  expect(dialog()).toBeNull();
  expect(held).toBe(false);
  hide(false);
  waiting.shift()!();
  expect(dialog()!.open).toBe(true);
});

test('by option, signing in again happens in the page, which keeps what was written', async () => {
  const draft = document.body.appendChild(document.createElement('textarea'));
  await start({ signIn: true, prompt: false });
  draft.value = 'half a thought';
  const leave = vi.spyOn(sync, 'handleSessionExpired').mockImplementation(() => {});
  // The specification's listener would leave the page.
  const left = vi.spyOn(SessionErrorHandler, 'handleSessionExpired').mockImplementation(() => {});
  const unhandle = handleSessionErrors(globalThis as any);
  signedIn = false;
  void sync.syncSessionState();
  await settle();
  unhandle();
  expect(leave).not.toHaveBeenCalled();
  expect(left).not.toHaveBeenCalled();
  const form = dialog()!.querySelector('form')!;
  const send = async (password: string) => {
    form.querySelector<HTMLInputElement>('[name=username]')!.value = 'ada';
    form.querySelector<HTMLInputElement>('[name=password]')!.value = password;
    form.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
    await settle(500);
  };
  await send('wrong');
  expect(form.querySelector('[role=alert]')!.textContent).toBe('Wrong name or password.');
  expect(form.querySelector<HTMLInputElement>('[name=password]')!.value).toBe('');
  expect(sent).toMatchObject({ remember: false });
  form.querySelector<HTMLInputElement>('[name=remember]')!.checked = true;
  await send('secret');
  expect(sent).toMatchObject({ username: 'ada', remember: true });
  expect(dialog()).toBeNull();
  expect(sync.getSnapshot().state?.user?.username).toBe('ada');
  expect(draft.value).toBe('half a thought');
  expect(document.querySelector('meta')!.content).toBe('new');
});
