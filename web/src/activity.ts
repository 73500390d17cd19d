import { listen, type Scope, type Stop } from './scope.js';

/** Calls `acted` when a person does something; what a script does is no activity. */
export function watchActivity(scope: Scope, acted: () => void): Stop {
  return listen(scope.document, ['pointerdown', 'keydown', 'wheel', 'touchstart'], (event) => {
    if (event.isTrusted) acted();
  });
}
