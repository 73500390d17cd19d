/**
 * What works on the page's elements: loaded when the page has one that wants it. It fills what is
 * marked, says in forms as whom and as what they were filled in, and obeys buttons, so that a page
 * needs no script of its own for them.
 */
import { currentToken } from './csrf.js';
import { write } from './dom.js';
import { listen, type Scope, type Stop, stopAll } from './scope.js';
import type { SessionSync } from './session-sync.js';
import type { Snapshot } from './voice.js';

const NAMES = ['user', 'email', 'platform', 'platform-type', 'platform-url', 'status', 'expires'];

function each<E extends Element>(scope: Scope, selector: string, work: (element: E) => void): void {
  scope.document.querySelectorAll<E>(selector).forEach(work);
}

export function attend(sync: SessionSync, scope: Scope): Stop {
  const { document } = scope;
  /** Until somebody was signed in, what the server rendered stays. */
  let known = false;

  const show = (snapshot: Snapshot) => {
    const { state, pending, pinned, status } = snapshot;
    known ||= !!state;
    const platform = pending ?? state?.platform;
    const texts = [
      state?.user?.username,
      state?.user?.email,
      // Of a platform that is only known by its id, the old one's name must not be shown.
      platform && (platform.name ?? '…'),
      platform?.type,
      platform?.instance_url,
      status,
    ];
    texts.forEach((text, i) => (known || NAMES[i] === 'status') && writeAll(scope, NAMES[i]!, text ?? ''));
    for (const [name, on] of Object.entries({ pending: !!pending, pinned })) {
      document.documentElement.toggleAttribute(`data-session-${name}`, on);
    }
    if (!known) return;
    showTimeLeft();
    fillForms();
  };
  const showTimeLeft = () => {
    const left = sync.timeLeft();
    if (known && document.visibilityState !== 'hidden') {
      writeAll(scope, 'expires', left === null ? '' : clock(left));
    }
  };
  const fillForms = () => {
    const { state, pending } = sync.getSnapshot();
    if (known) fill(scope, String((pending ?? state?.platform)?.id ?? ''));
  };
  const ticking = scope.setInterval(showTimeLeft, 1000);
  return stopAll([
    sync.subscribe(show),
    listen(document, 'submit', fillForms),
    listen(document, 'click', (event) => obey(event, sync, scope)),
    () => scope.clearInterval(ticking),
  ]);
}

/** A name may hold anything: it is written as text. */
function writeAll(scope: Scope, name: string, text: string): void {
  each(scope, `[data-session-${name}]`, (element) => write(element, text));
}

/** The hidden inputs by which a form says as whom, and as which platform, it was filled in. */
function fill(scope: Scope, platform: string): void {
  each<HTMLFormElement>(scope, 'form[data-platform-form]', (form) => {
    if (form.querySelector('[name=platform_id]')) return;
    const input = scope.document.createElement('input');
    form.append(Object.assign(input, { type: 'hidden', name: 'platform_id' }));
  });
  const set = (name: string, value: string) =>
    each<HTMLInputElement>(
      scope,
      `:is([data-platform-form],[data-session-form]) input[name=${name}]`,
      (input) => {
        input.value = value;
      },
    );
  set('platform_id', platform);
  const token = currentToken(scope);
  if (token) set('csrf_token', token);
}

/** A form around a button, for pages without script, is not sent. */
function obey(event: Event, sync: SessionSync, scope: Scope): void {
  const button = (event.target as Element | null)?.closest?.<HTMLElement>(
    '[data-session-switch],[data-session-pin],[data-session-sign-out]',
  );
  if (!button) return;
  event.preventDefault();
  const { sessionSwitch: id, sessionName: name, sessionPin: pin } = button.dataset;
  const { pinned, state } = sync.getSnapshot();
  const done =
    id !== undefined
      ? sync.switchPlatform(id, name)
      : pin === undefined
        ? sync.signOut()
        : pinned
          ? sync.unpinPlatform()
          : sync.pinPlatform(state?.platform?.id ?? '');
  done?.catch((error: unknown) => scope.reportError(error));
}

/** h:mm:ss, or m:ss below an hour. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, i) => (i ? String(part).padStart(2, '0') : part)).join(':');
}
