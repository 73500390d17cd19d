/**
 * `<vedfolnir-debug>`: what this tab's SessionSync knows and does, for whoever looks for a mistake.
 * A script of its own, because no page needs it; importing it defines the element.
 */
import { element, write } from './dom.js';
import { EventList } from './panel/event-list.js';
import { factsOf } from './panel/facts.js';
import { Roll, type Row } from './panel/roll.js';
import { sheet } from './panel/style.js';
import { every, listen, type Scope, type Stop, stopAll } from './scope.js';
import type { SessionSync } from './session-sync.js';

const SECOND = 1000;

// Where there is no page there is no element either, and the import does no harm.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/** Shows `window.sessionSync`, or the one given as `sync`. With the attribute `inline` it stands where it is. */
export class VedfolnirDebug extends Base {
  #sync: SessionSync | undefined;
  #stop: Stop | undefined;

  get sync(): SessionSync | undefined {
    return this.#sync ?? (globalThis as { sessionSync?: SessionSync }).sessionSync;
  }
  set sync(sync: SessionSync | undefined) {
    this.#sync = sync;
    if (this.isConnected) this.connectedCallback();
  }

  connectedCallback(): void {
    this.#stop?.();
    const { sync } = this;
    this.#stop = sync ? this.#show(sync) : this.#wait();
  }

  disconnectedCallback(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  get #root(): ShadowRoot {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    if (!root.adoptedStyleSheets.length) root.adoptedStyleSheets = [sheet()];
    return root;
  }

  /** Until a page has started its SessionSync. */
  #wait(): Stop {
    this.#frame('', element('p', { class: 'empty' }, 'No SessionSync has been started on this page.'));
    return every(globalThis as Scope, SECOND, () => this.sync && this.connectedCallback());
  }

  #frame(status: string, ...content: Node[]): { status: HTMLElement; panel: HTMLElement } {
    const badge = element('span', { class: 'status', role: 'status' }, status);
    badge.hidden = !status;
    const close = element('button', { type: 'button', class: 'close', 'aria-label': 'Close the panel' }, '✕');
    close.addEventListener('click', () => this.remove());
    const panel = element(
      'section',
      { class: 'panel', 'aria-labelledby': 'title' },
      element('header', {}, element('h2', { id: 'title' }, 'SessionSync'), badge, element('span', { class: 'space' }), close),
      element('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'What it knows' }, ...content),
    );
    panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.remove();
    });
    this.#root.replaceChildren(panel);
    return { status: badge, panel };
  }

  #show(sync: SessionSync): Stop {
    const facts = element('dl');
    const tabs = element('tbody');
    const count = element('h3');
    const events = new EventList();
    const { status, panel } = this.#frame(
      ' ',
      part('This tab', facts),
      element('div', {}, count, element('div', { class: 'wide', tabindex: '0', role: 'group', 'aria-label': 'Tabs' }, tableOf(tabs))),
      part('Last events', events.element),
    );
    panel.append(this.#controls(sync, events));

    const roll = new Roll(() => cardOf(sync), () => void showTabs());
    const showTabs = async () => {
      const rows = await roll.rows();
      write(count, `${rows.length} ${rows.length === 1 ? 'tab' : 'tabs'} of this browser`);
      tabs.replaceChildren(...rows.map(rowOf));
    };
    const refresh = () => {
      const now = sync.getSnapshot().status ?? 'starting';
      write(status, now);
      status.dataset.status = now;
      showFacts(facts, factsOf(sync));
      roll.tell();
      void showTabs();
    };
    const told = (name: string, say: (detail: never) => string) =>
      listen(window, name, (event) => {
        events.told(name, say((event as CustomEvent).detail as never) ?? '');
        refresh();
      });
    refresh();
    return stopAll([
      sync.onMessage((heard) => events.add(heard)),
      sync.subscribe(refresh),
      every(globalThis as Scope, SECOND, refresh),
      told('platformSwitched', ({ platformName }: { platformName: string }) => platformName),
      told('sessionSyncStatus', (detail: { status: string }) => detail.status),
      told('sessionExpiring', ({ secondsLeft }: { secondsLeft: number }) => `${secondsLeft} s left`),
      told('sessionExpired', ({ reason }: { reason: string }) => reason),
      roll.stop,
    ]);
  }

  #controls(sync: SessionSync, events: EventList): HTMLElement {
    const button = (text: string, work: () => unknown) => {
      const made = element('button', { type: 'button' }, text);
      made.addEventListener('click', () => void work());
      return made;
    };
    const box = element('input', { type: 'checkbox' });
    box.checked = sync.debugMode;
    box.addEventListener('change', () => (sync.debugMode = box.checked));
    return element(
      'footer',
      {},
      button('Ask the server', () => sync.syncSessionState()),
      button('Clear events', () => events.clear()),
      element('label', {}, box, 'Log to the console'),
    );
  }
}

const part = (title: string, ...content: Node[]) => element('div', {}, element('h3', {}, title), ...content);

const tableOf = (body: HTMLElement) =>
  element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...['Tab', 'Role', 'Transport', 'Stamp'].map((text) => element('th', { scope: 'col' }, text)))),
    body,
  );

function cardOf(sync: SessionSync) {
  const { role, transport } = sync.getPerformanceMetrics();
  return { tabId: sync.getTabId(), role, transport, stamp: sync.getSnapshot().state?.stamp };
}

function rowOf({ leads, mine, card }: Row): HTMLElement {
  const role = leads ? 'leader' : (card?.role ?? 'follower');
  const name = mine ? 'this one' : (card?.tabId ?? 'without a panel');
  return element(
    'tr',
    mine ? { 'aria-current': 'true' } : {},
    element('td', {}, name),
    element('td', leads ? { class: 'leader' } : {}, role),
    element('td', {}, card?.transport ?? '–'),
    element('td', {}, card?.stamp ?? '–'),
  );
}

function showFacts(list: HTMLElement, facts: Record<string, string>): void {
  if (!list.children.length) {
    list.append(...Object.keys(facts).map((name) => element('div', {}, element('dt', {}, name), element('dd'))));
  }
  Object.values(facts).forEach((text, i) => write(list.children[i]!.lastElementChild!, text));
}

if (globalThis.customElements && !customElements.get('vedfolnir-debug')) customElements.define('vedfolnir-debug', VedfolnirDebug);
