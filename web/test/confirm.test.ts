import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SessionSync } from '../src/index.js';

interface Sent {
  path: string;
  method: string;
  headers: Headers;
  body: any;
}

let sync: SessionSync;
let sent: Sent[];
let recent: boolean;
let level: number;
let user: { id: number; username: string };
let methods: string[];
let passkey: object | undefined;
let reauth: (body: any) => Response | undefined;
let required: { max_age_seconds: number; level: number };

const json = (status: number, body: object) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });

beforeEach(async () => {
  document.body.innerHTML = '<button id="act">Act</button>';
  document.head.innerHTML = '<meta name="csrf-token" content="token">';
  localStorage.clear();
  sent = [];
  recent = false;
  level = 1;
  user = { id: 7, username: 'ada' };
  methods = ['password'];
  passkey = undefined;
  reauth = () => undefined;
  required = { max_age_seconds: 600, level: 1 };
  vi.stubGlobal('fetch', async (input: string | Request, init: RequestInit = {}) => {
    const request = input instanceof Request ? input : undefined;
    const path = new URL(request?.url ?? String(input), location.href).pathname;
    const text = request ? await request.text() : init.body instanceof ReadableStream ? '' : String(init.body ?? '');
    const headers = new Headers(init.headers);
    sent.push({ path, method: init.method ?? request?.method ?? 'GET', headers, body: text && JSON.parse(text) });
    switch (path) {
      case '/api/session/reauth/options':
        return json(200, { success: true, username: user.username, methods, ...(passkey && { passkey }) });
      case '/api/session/reauth': {
        const body = JSON.parse(text);
        const other = reauth(body);
        if (other) return other;
        if (body.password !== 'secret' && !body.passkey) {
          return json(401, { error_code: 'INVALID_CREDENTIALS', error: 'Name or password is wrong.' });
        }
        if (body.username && body.username !== user.username) user = { id: 8, username: body.username };
        recent = user.id === 7;
        level = body.passkey ? 2 : 1;
        return json(200, { success: true, user, level });
      }
      case '/pay':
        if (recent && level >= required.level) return json(200, { paid: true });
        return json(403, { error_code: 'REAUTH_REQUIRED', reason: 'authentication_too_old', required });
    }
    return json(200, {
      success: true,
      user,
      platform: { id: 3, name: 'Three' },
      session: { session_id: 'h' + user.id },
      stamp: '1.1.1',
    });
  });
  sync = new SessionSync(globalThis as any);
  sync.init();
  await until(() => !!sync.getSnapshot().state);
});

afterEach(() => {
  sync.destroy();
  document.querySelectorAll('dialog').forEach((dialog) => dialog.remove());
  vi.unstubAllGlobals();
});

async function until(done: () => boolean): Promise<void> {
  await vi.waitFor(() => {
    if (!done()) throw new Error('not yet');
  });
}

const dialogs = () => [...document.querySelectorAll('dialog')];
const shown = () => until(() => dialogs().length > 0);
const field = (name: string) => document.querySelector<HTMLInputElement>(`dialog input[name=${name}]`)!;
const alert = () => document.querySelector('dialog [role=alert]')!.textContent;
const press = (text: string) => [...document.querySelectorAll('button')].find((b) => b.textContent === text)!.click();
const confirm = (password: string) => {
  field('password').value = password;
  document.querySelector('form')!.dispatchEvent(new Event('submit', { cancelable: true }));
};
const pay = () => sync.fetch('/pay', { method: 'POST', body: JSON.stringify({ amount: 3 }), headers: { 'X-Mine': '1' } });
const paid = () => sent.filter(({ path }) => path === '/pay');

test('asks in the page, and then does what was asked for, once more and as it was', async () => {
  document.getElementById('act')!.focus();
  const answer = pay();
  await shown();
  const dialog = dialogs()[0]!;
  const text = (attribute: string) => document.getElementById(dialog.getAttribute(attribute)!)!.textContent;
  expect(dialog.open).toBe(true);
  expect(text('aria-labelledby')).toBe('Confirm that it is you');
  expect(text('aria-describedby')).toMatch(/kept/);
  expect(field('username').value).toBe('ada');
  expect(field('password').autocomplete).toBe('current-password');
  expect(field('password').hasAttribute('autofocus')).toBe(true);
  confirm('secret');
  expect(await (await answer).json()).toEqual({ paid: true });
  expect(dialogs()).toEqual([]);
  expect(document.activeElement!.id).toBe('act');
  const [first, second, ...more] = paid();
  expect(more).toEqual([]);
  expect(second!.body).toEqual({ amount: 3 });
  expect(second!.method).toBe('POST');
  expect([...second!.headers]).toEqual([...first!.headers]);
  expect(second!.headers.get('X-Platform-Id')).toBe('3');
  expect(sent.find(({ path }) => path === '/api/session/reauth')!.headers.get('X-CSRFToken')).toBe('token');
});

test('a Request is done over with its body', async () => {
  const answer = sync.fetch(new Request(new URL('/pay', location.href), { method: 'POST', body: '{"amount":4}' }));
  await shown();
  confirm('secret');
  expect((await answer).status).toBe(200);
  expect(paid().map(({ body }) => body)).toEqual([{ amount: 4 }, { amount: 4 }]);
});

test('cancelled, by the button or by Escape, the caller has the refusal', async () => {
  for (const cancel of [() => press('Cancel'), () => dialogs()[0]!.dispatchEvent(new Event('cancel', { cancelable: true }))]) {
    const answer = pay();
    await shown();
    cancel();
    const refused = await answer;
    expect([refused.status, (await refused.json()).error_code]).toEqual([403, 'REAUTH_REQUIRED']);
    expect(dialogs()).toEqual([]);
  }
  expect(paid().length).toBe(2);
});

test('requests at once share one dialog, and one that was refused all the same asks no more', async () => {
  const answers = [pay(), pay(), pay()];
  await shown();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(dialogs().length).toBe(1);
  confirm('secret');
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(sent.filter(({ path }) => path === '/api/session/reauth').length).toBe(1);
  reauth = () => json(200, { success: true, user, level: 1 }); // and the server is still not content
  recent = false;
  const stubborn = pay();
  await shown();
  confirm('secret');
  expect((await stubborn).status).toBe(403);
  expect(dialogs()).toEqual([]);
});

test('a wrong password is told, and nothing ends', async () => {
  const answer = pay();
  await shown();
  confirm('wrong');
  await until(() => alert() === 'Name or password is wrong.');
  expect(field('password').value).toBe('');
  expect(sync.getSnapshot().state?.user?.id).toBe(7);
  confirm('secret');
  expect((await answer).status).toBe(200);
});

test('as somebody else nothing is done over, and the page follows', async () => {
  const answer = pay();
  await shown();
  field('username').value = 'sam';
  confirm('secret');
  expect((await answer).status).toBe(403);
  expect(paid().length).toBe(1);
  await until(() => sent.filter(({ path }) => path === '/api/session_state').length > 1);
});

test('another tab that has just done it is an answer too', async () => {
  reauth = () => {
    recent = true;
    return json(409, { error_code: 'CONFLICT' });
  };
  const answer = pay();
  await shown();
  confirm('secret');
  expect((await answer).status).toBe(200);
});

test('an end meanwhile closes the dialog', async () => {
  reauth = () => json(401, { error_code: 'SESSION_ENDED', reason: 'signed_out' });
  const answer = pay();
  await shown();
  confirm('secret');
  expect((await answer).status).toBe(403);
  expect(dialogs()).toEqual([]);
});

test('a server that takes no confirmation leaves the caller the refusal', async () => {
  methods = [];
  const answer = pay();
  await shown();
  expect(dialogs()[0]!.textContent).toMatch(/no|stronger/);
  expect(field('password')).toBeNull();
  press('Cancel');
  expect((await answer).status).toBe(403);
});

test('a passkey is used as the server wants it, and a password does not pass for one', async () => {
  const got: any[] = [];
  const buffer = (...bytes: number[]) => new Uint8Array(bytes).buffer;
  vi.stubGlobal('PublicKeyCredential', function PublicKeyCredential() {});
  Object.defineProperty(navigator, 'credentials', {
    configurable: true,
    value: {
      get: async (options: any) => {
        got.push(options);
        if (got.length === 1) throw new DOMException('no', 'NotAllowedError');
        return {
          id: 'AQI',
          rawId: buffer(1, 2),
          type: 'public-key',
          authenticatorAttachment: null,
          getClientExtensionResults: () => ({}),
          response: {
            clientDataJSON: buffer(255, 255),
            authenticatorData: buffer(251),
            signature: buffer(3),
            userHandle: null,
          },
        };
      },
    },
  });
  methods = ['passkey', 'password'];
  passkey = { challenge: '-_8', rpId: 'app.test', allowCredentials: [{ type: 'public-key', id: 'AQI' }] };
  required = { max_age_seconds: 0, level: 2 };
  const answer = pay();
  await shown();
  expect(field('password')).toBeNull();
  press('Use a passkey');
  await until(() => alert() === 'The passkey was not used.');
  press('Use a passkey');
  expect((await answer).status).toBe(200);
  expect([...got[0].publicKey.challenge]).toEqual([0xfb, 0xff]);
  expect([...got[0].publicKey.allowCredentials[0].id]).toEqual([1, 2]);
  expect(sent.find(({ path }) => path === '/api/session/reauth')!.body.passkey).toEqual({
    id: 'AQI',
    rawId: 'AQI',
    type: 'public-key',
    clientExtensionResults: {},
    response: { clientDataJSON: '__8', authenticatorData: '-w', signature: 'Aw' },
  });
  // A challenge is good once.
  expect(sent.filter(({ path }) => path === '/api/session/reauth/options').length).toBe(2);
});

test('a browser that reads and writes WebAuthn’s JSON does so itself', async () => {
  vi.stubGlobal('PublicKeyCredential', Object.assign(function PublicKeyCredential() {}, {
    parseRequestOptionsFromJSON: (options: object) => ({ parsed: options }),
  }));
  Object.defineProperty(navigator, 'credentials', {
    configurable: true,
    value: { get: async ({ publicKey }: any) => ({ toJSON: () => ({ written: publicKey }) }) },
  });
  methods = ['passkey', 'password'];
  passkey = { challenge: 'AQ' };
  const answer = pay();
  await shown();
  expect(field('password')).not.toBeNull();
  press('Use a passkey');
  expect((await answer).status).toBe(200);
  expect(sent.find(({ path }) => path === '/api/session/reauth')!.body).toEqual({
    passkey: { written: { parsed: { challenge: 'AQ' } } },
  });
});

test('a body that cannot be sent twice is refused without asking', async () => {
  const body = new ReadableStream({ start: (controller) => controller.close() });
  const answer = await sync.fetch('/pay', { method: 'POST', body, duplex: 'half' } as RequestInit);
  expect(answer.status).toBe(403);
  expect(dialogs()).toEqual([]);
});
