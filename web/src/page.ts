import { currentToken } from './csrf.js';
import { attempt, type Scope } from './scope.js';
import { timeLeft, type View } from './view.js';
import { idOf, type SessionState, type SyncStatus } from './wire.js';

/** The elements that are kept filled, by attribute, and with what. */
const TEXTS: Record<string, (state: SessionState) => string | undefined> = {
  'data-session-user': (state) => state.user?.username,
  'data-session-email': (state) => state.user?.email,
  'data-session-platform': (state) => state.platform?.name,
  'data-session-platform-type': (state) => state.platform?.type,
  'data-session-platform-url': (state) => state.platform?.instance_url,
};
const EXPIRES = 'data-session-expires';
const STATUS = 'data-session-status';

function each<E extends Element>(scope: Scope, selector: string, work: (element: E) => void): void {
  scope.document?.querySelectorAll<E>(selector).forEach(work);
}

/** A name may hold anything: it is written as text, and only where it differs. */
function write(scope: Scope, attribute: string, text: string): void {
  each(scope, `[${attribute}]`, (element) => {
    if (element.textContent !== text) element.textContent = text;
  });
}

/** Shows the session in the page; without one, empties what showed it. */
export function showSession(scope: Scope, view: View | undefined): void {
  for (const [attribute, text] of Object.entries(TEXTS)) {
    write(scope, attribute, (view && text(view.state)) ?? '');
  }
  showTimeLeft(scope, view);
  fillForms(scope, view);
}

export function showStatus(scope: Scope, status: SyncStatus): void {
  write(scope, STATUS, status);
}

export function showTimeLeft(scope: Scope, view: View | undefined): void {
  const left = view && timeLeft(view, scope.Date.now());
  write(scope, EXPIRES, left === undefined ? '' : clock(left));
}

/** The hidden inputs by which a form says as whom, and as which platform, it was filled in. */
export function fillForms(scope: Scope, view: View | undefined): void {
  const fill = (name: string, value: string) =>
    each<HTMLInputElement>(scope, `form[data-session-form] input[name="${name}"]`, (input) => {
      input.value = value;
    });
  fill('platform_id', idOf(view?.state.platform) ?? '');
  const token = currentToken(scope);
  if (token) fill('csrf_token', token);
}

/** h:mm:ss, or m:ss below an hour. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, i) => (i ? String(part).padStart(2, '0') : part)).join(':');
}

export function visible(scope: Scope): boolean {
  return attempt(() => scope.document.visibilityState) !== 'hidden';
}
