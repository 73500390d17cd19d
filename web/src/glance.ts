import { after, type Scope } from './scope.js';
import { readMarker } from './storage.js';

/** Longer than a message takes from tab to tab. */
export const MESSAGE_DELAY = 250;

/**
 * The marker in storage says how far any tab has come. A tab that is behind it for longer than a
 * message takes has missed one, and asks once.
 */
export class Glance {
  readonly #scope: Scope;
  readonly #behind: (marker: string | null) => boolean;
  readonly #ask: () => Promise<{ answered: boolean }>;
  /** The marker that was last asked about: the server's answer settles it. */
  #settled: string | null | undefined;

  constructor(
    scope: Scope,
    behind: (marker: string | null) => boolean,
    ask: () => Promise<{ answered: boolean }>,
  ) {
    this.#scope = scope;
    this.#behind = behind;
    this.#ask = ask;
  }

  look(): void {
    const marker = readMarker(this.#scope);
    if (marker === this.#settled || !this.#behind(marker)) return;
    after(this.#scope, MESSAGE_DELAY, async () => {
      if (!this.#behind(marker) || marker !== readMarker(this.#scope)) return;
      const { answered } = await this.#ask();
      if (answered) this.#settled = marker;
    });
  }
}
