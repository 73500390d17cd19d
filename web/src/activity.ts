import { every, listen, type Scope, type Stop } from './scope.js';

/**
 * Notes that a person is there, and says so at most once in an interval; what a script does is
 * no activity, and nobody there is nothing to say.
 */
export class Activity {
  readonly #scope: Scope;
  readonly #say: () => void;
  #acted = false;
  #saidAt = 0;

  constructor(scope: Scope, say: () => void) {
    this.#scope = scope;
    this.#say = say;
  }

  watch(interval: number): Stop {
    const stops = [
      listen(this.#scope.document, ['pointerdown', 'keydown', 'wheel', 'touchstart'], (event) => {
        if (event.isTrusted) this.#acted = true;
      }),
      every(this.#scope, interval, () => this.#tell(interval)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** A person acted in another tab. */
  acted(interval: number): void {
    this.#acted = true;
    this.#tell(interval);
  }

  #tell(interval: number): void {
    const now = this.#scope.Date.now();
    // A timer may fire a little early.
    if (!this.#acted || now - this.#saidAt < interval * 0.9) return;
    this.#acted = false;
    this.#saidAt = now;
    this.#say();
  }
}
