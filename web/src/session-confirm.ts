/**
 * Asks the person to prove anew who they are, in the page as it is: loaded when the server wants
 * that before it does something.
 */
import { button, dialog, failure, show } from './dialog.js';
import { element } from './dom.js';
import { passkeysWork, usePasskey } from './passkey.js';
import type { Refusal, SessionUser } from './wire.js';

export interface Confirmation {
  level: number;
  /** Whose session it is now. Missing: whose it was. */
  user?: SessionUser;
}

/** Posts to the API, with the page's token. */
export type Post = (path: string, body: object) => Promise<Response>;

const PATH = '/api/session/reauth';

interface Options {
  username?: string;
  methods?: string[];
  passkey?: unknown;
}

/** Resolves once it is proved; to nothing if it is not to be, or cannot be. */
export async function askToConfirm(post: Post, level: number): Promise<Confirmation | undefined> {
  let options = await optionsOf(post);
  const { methods = [], username: name = '' } = options;
  const passkeys = methods.includes('passkey') && !!options.passkey && passkeysWork();
  const passwords = methods.includes('password') && level < 2;

  return new Promise((resolve) => {
    const failed = failure();
    const username = element('input', { name: 'username', autocomplete: 'username', required: '', value: name });
    const password = element('input', {
      name: 'password',
      type: 'password',
      autocomplete: 'current-password',
      required: '',
      autofocus: '',
    });
    const form = element('form');
    if (passwords) {
      form.append(
        element('label', {}, 'User name ', username),
        element('label', {}, 'Password ', password),
        failed,
        element('button', { class: 'main' }, 'Confirm'),
      );
    } else form.append(failed);
    if (passkeys) form.append(button('Use a passkey', () => void attempt(byPasskey)));
    form.append(button('Cancel', () => finish()));
    const shown = dialog(
      'Confirm that it is you',
      element(
        'span',
        {},
        passwords || passkeys
          ? 'This needs a fresh confirmation. What you have written here is kept.'
          : 'This needs a stronger confirmation than your account has a way to give.',
      ),
      form,
    );

    const finish = (proved?: Confirmation) => {
      hide();
      resolve(proved);
    };
    const byPassword = () => post(PATH, { username: username.value, password: password.value });
    const byPasskey = async () => {
      // What a passkey signs is good once.
      const { passkey } = options.passkey ? options : await optionsOf(post);
      options = {};
      return post(PATH, { passkey: await usePasskey(passkey) });
    };
    let busy = false;
    const attempt = async (prove: () => Promise<Response>) => {
      if (busy) return;
      busy = true;
      failed.textContent = '';
      try {
        const response = await prove();
        const body: Confirmation & Refusal = await response.json();
        if (response.ok) return finish(body);
        // Another tab has just done it.
        if (response.status === 409) return finish({ level });
        if (body.error_code?.startsWith('SESSION_')) return finish();
        failed.textContent = body.error ?? 'That did not work.';
      } catch (error) {
        failed.textContent =
          error instanceof DOMException
            ? 'The passkey was not used.'
            : 'The server cannot be reached. Please try again.';
      }
      busy = false;
      password.value = '';
      password.focus();
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void attempt(byPassword);
    });
    shown.addEventListener('cancel', (event) => {
      event.preventDefault();
      finish();
    });
    const hide = show(shown);
  });
}

async function optionsOf(post: Post): Promise<Options> {
  const response = await post(`${PATH}/options`, {});
  if (!response.ok) throw new Error('the server takes no confirmation');
  return response.json();
}
