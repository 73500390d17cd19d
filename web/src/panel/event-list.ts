import type { Heard } from '../voice.js';
import { element } from '../dom.js';

const LENGTH = 60;
/** Signs of life come by the second, and say nothing else. */
const NOISE = new Set(['ping', 'alive', 'unchanged']);

const time = (at: number): string => {
  const date = new Date(at);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
};

/** The last that was heard, the newest first. */
export class EventList {
  readonly element = element('ol', { tabindex: '0', 'aria-label': 'Last events' });

  add({ at, source, kind, stamp, sentAt }: Heard): void {
    if (NOISE.has(kind)) return;
    this.#line(at, source, kind, [stamp, sentAt !== undefined && `+${Math.max(0, at - sentAt)} ms`].filter(Boolean).join('  '));
  }

  /** What the page was told. */
  told(name: string, detail: string): void {
    this.#line(Date.now(), 'page', name, detail);
  }

  clear(): void {
    this.element.replaceChildren();
  }

  #line(at: number, source: string, kind: string, more: string): void {
    const cells = [[time(at), 'quiet'], [source, 'quiet'], [kind, 'kind'], [more, 'quiet']] as const;
    this.element.prepend(element('li', {}, ...cells.map(([text, name]) => element('span', { class: name }, text))));
    while (this.element.children.length > LENGTH) this.element.lastElementChild!.remove();
  }
}
