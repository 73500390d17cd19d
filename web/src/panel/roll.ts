import type { Stop } from '../scope.js';

/** What the panel of one tab tells those of the others. */
export interface Card {
  tabId: string;
  role: string;
  transport: string;
  stamp: string | undefined;
}

/** One tab of this browser, with its card if it has a panel too. */
export interface Row {
  leads: boolean;
  mine: boolean;
  card: Card | undefined;
}

const LOCK = 'vedfolnir_session';
const MINE = 'vedfolnir_panel ';

/**
 * Who else is there. A tab that takes part waits for the leader's lock or holds it, which the
 * browser tells whoever asks: so tabs are counted that know nothing of this panel. A panel holds
 * a lock that is named for its tab, by which its tab is found among them.
 */
export class Roll {
  readonly #cards = new Map<string, Card>();
  readonly #channel: BroadcastChannel | undefined;
  readonly #over = new AbortController();
  readonly #card: () => Card;
  #told = '';

  constructor(card: () => Card, heard: () => void) {
    this.#card = card;
    if ('BroadcastChannel' in globalThis) {
      this.#channel = new BroadcastChannel('vedfolnir_panel');
      this.#channel.onmessage = ({ data }: MessageEvent<Card | 'who' | { gone: string }>) => {
        if (data === 'who') this.tell(true);
        else if ('gone' in data) this.#cards.delete(data.gone);
        else this.#cards.set(data.tabId, data);
        heard();
      };
      this.#channel.postMessage('who');
    }
    const held = () => new Promise<void>((release) => this.#over.signal.addEventListener('abort', () => release()));
    navigator.locks?.request(MINE + card().tabId, { signal: this.#over.signal }, held).catch(() => {});
  }

  /** Tells the others, if there is anything new. */
  tell(again = false): void {
    const card = this.#card();
    const text = JSON.stringify(card);
    if (text === this.#told && !again) return;
    this.#told = text;
    this.#channel?.postMessage(card);
  }

  /** All tabs, the leader first. */
  async rows(): Promise<Row[]> {
    const mine = this.#card();
    const cards = new Map(this.#cards).set(mine.tabId, mine);
    const locks = await navigator.locks?.query().catch(() => undefined);
    if (!locks) return [...cards.values()].map((card) => ({ leads: false, mine: card === mine, card }));
    const { held = [], pending = [] } = locks;
    const cardOf = new Map<string | undefined, Card>();
    for (const { name, clientId } of held) {
      const card = name?.startsWith(MINE) && cards.get(name.slice(MINE.length));
      if (card) cardOf.set(clientId, card);
    }
    // Who is closed takes no leave, but has no lock.
    const living = new Set(cardOf.values()).add(mine);
    const rows: Pick<Row, 'leads' | 'card'>[] = [held, pending].flatMap((locks, i) =>
      locks.filter(({ name }) => name === LOCK).map(({ clientId }) => ({ leads: i === 0, card: cardOf.get(clientId) })),
    );
    // One that polls for itself takes no part in the lock.
    for (const card of living) if (!rows.some((row) => row.card === card)) rows.push({ leads: false, card });
    return rows.map((row) => ({ ...row, mine: row.card === mine }));
  }

  readonly stop: Stop = () => {
    this.#channel?.postMessage({ gone: this.#card().tabId });
    this.#channel?.close();
    this.#over.abort();
  };
}
