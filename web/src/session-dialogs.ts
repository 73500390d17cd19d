/** The built-in dialogs: loaded when one is wanted, and made of what any page could use. */
import { button, dialog, failure, show as showModal } from './dialog.js';
import { element } from './dom.js';
import type { SessionSync } from './session-sync.js';
import type { Snapshot } from './voice.js';

const DISMISSED = 'vedfolnir_dismissed';
const open = new WeakMap<SessionSync, Set<string>>();

/**
 * Shows a dialog while it is wanted, and only in one of the tabs that somebody sees: in the one
 * that holds a lock, which it gives back when it is hidden. Without locks every such tab shows it.
 */
function inOneTab(
  name: string,
  sync: SessionSync,
  wanted: (snapshot: Snapshot) => boolean,
  make: (answered: () => void) => HTMLDialogElement,
): void {
  const names = open.get(sync) ?? new Set();
  open.set(sync, names);
  if (names.has(name)) return;
  names.add(name);
  let over: AbortController | undefined;

  const hide = () => {
    over?.abort();
    over = undefined;
  };
  const show = (signal: AbortSignal) =>
    new Promise<void>((release) => {
      if (signal.aborted || !wanted(sync.getSnapshot())) return release();
      const stop = showModal(make(look));
      signal.addEventListener('abort', () => {
        stop();
        release();
      });
    });
  const look = () => {
    if (!wanted(sync.getSnapshot())) {
      hide();
      names.delete(name);
      document.removeEventListener('visibilitychange', look);
      queueMicrotask(() => unsubscribe());
      return;
    }
    if (document.visibilityState === 'hidden') return hide();
    if (over) return;
    over = new AbortController();
    const { signal } = over;
    const asked = navigator.locks?.request(`vedfolnir_${name}`, { signal }, () => show(signal));
    if (asked) asked.catch(() => {}); // Only ever the abort of a request that was still waiting.
    else void show(signal);
  };
  document.addEventListener('visibilitychange', look);
  const unsubscribe = sync.subscribe(look);
}

/** Asks whether to stay signed in; an answer in any tab is one for all. */
export function askToStay(sync: SessionSync): void {
  const deadline = () => sync.getSnapshot().expiring?.deadline;
  const dismissed = () => {
    try {
      return Number(localStorage.getItem(DISMISSED)) === deadline();
    } catch {
      return false;
    }
  };
  inOneTab('prompt', sync, ({ expiring }) => !!expiring && !dismissed(), (answered) => {
    const { canExtend, secondsLeft } = sync.getSnapshot().expiring!;
    // The client keeps it in step from the next second on.
    const left = element('span', { 'data-session-expires': '' }, `${Math.ceil(secondsLeft / 60)} min`);
    const failed = failure();
    const dismiss = () => {
      try {
        localStorage.setItem(DISMISSED, String(deadline()));
      } catch {
        // Then it may be asked again in another tab.
      }
      answered();
    };
    const answer = (work: () => Promise<unknown>) => () =>
      void work().catch((error: Error) => (failed.textContent = error.message));
    const shown = dialog(
      canExtend ? 'Do you want to stay signed in?' : 'Your session is about to end',
      element('span', {}, 'You will be signed out in ', left, canExtend ? '.' : '. Save your work.'),
      failed,
      canExtend
        ? button('Stay signed in', answer(() => sync.extend()), { autofocus: '' })
        : button('I have understood', dismiss, { autofocus: '' }),
      button('Sign out now', answer(() => sync.signOut())),
    );
    shown.addEventListener('cancel', (event) => {
      event.preventDefault();
      dismiss();
    });
    return shown;
  });
}

/** Asks to sign in again, in the page as it is; whoever signs in, in any tab, answers for all. */
export function askToSignIn(sync: SessionSync): void {
  inOneTab('sign_in', sync, ({ state }) => !state, () => {
    const failed = failure();
    const username = element('input', { name: 'username', autocomplete: 'username', required: '' });
    const password = element('input', {
      name: 'password',
      type: 'password',
      autocomplete: 'current-password',
      required: '',
    });
    const remember = element('input', { name: 'remember', type: 'checkbox' });
    const form = element(
      'form',
      {},
      element('label', {}, 'User name ', username),
      element('label', {}, 'Password ', password),
      element('label', { class: 'check' }, remember, ' Remember this device'),
      failed,
      element('button', { class: 'main' }, 'Sign in'),
      button('Leave this page', () => sync.handleSessionExpired()),
    );
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      failed.textContent = '';
      failed.textContent = await signIn(username.value, password.value, remember.checked);
      password.value = '';
      await sync.syncSessionState();
    });
    const text = element('span', {}, 'What you have written here is kept. Sign in to go on.');
    return dialog('Your session has ended', text, form);
  });
}

/** Returns what went wrong, or nothing. */
async function signIn(username: string, password: string, remember: boolean): Promise<string> {
  const headers = { Accept: 'application/json', 'Content-Type': 'application/json' };
  const token = async () => {
    const response = await fetch('/api/csrf', { headers, cache: 'no-store' });
    return String((await response.json()).csrf_token);
  };
  try {
    const response = await fetch('/login', {
      method: 'POST',
      headers: { ...headers, 'X-CSRFToken': await token() },
      body: JSON.stringify({ username, password, remember }),
      redirect: 'manual',
    });
    if (!response.ok) return (await response.json()).error ?? 'That did not work.';
    // The page's own token was the old session's.
    document.querySelector('meta[name=csrf-token]')?.setAttribute('content', await token());
    return '';
  } catch {
    return 'The server cannot be reached. Please try again.';
  }
}
