import type { SessionError } from './errors.js';
import { listen, type Scope, type Stop } from './scope.js';
import type { Id } from './wire.js';

/** What buttons may ask for. */
interface Commands {
  switchPlatform(id: Id): Promise<unknown>;
  signOut(): Promise<unknown>;
}

/**
 * Obeys buttons marked `data-session-switch="ID"` and `data-session-sign-out`, so that a page
 * needs no script of its own for them. A form around them, for pages without script, is not sent.
 */
export function watchButtons(
  scope: Scope,
  commands: Commands,
  complain: (error: SessionError) => void,
): Stop {
  return listen(scope.document, 'click', (event) => {
    const button = (event.target as Element | null)?.closest?.(
      '[data-session-switch], [data-session-sign-out]',
    );
    if (!button) return;
    event.preventDefault();
    const id = button.getAttribute('data-session-switch');
    (id === null ? commands.signOut() : commands.switchPlatform(id)).catch(complain);
  });
}
