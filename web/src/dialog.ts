/** What the built-in dialogs are made of. They carry the class `session-dialog`, and no style. */
import { type Attributes, element } from './dom.js';

export function button(text: string, work: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, text);
  made.addEventListener('click', work);
  return made;
}

/** A modal dialog, named and described to whoever cannot see it. */
export function dialog(title: string, text: Node, ...rest: Node[]): HTMLDialogElement {
  const id = `session-dialog-${Math.random().toString(36).slice(2)}`;
  return element(
    'dialog',
    { class: 'session-dialog', 'aria-labelledby': id, 'aria-describedby': `${id}-text` },
    element('h2', { id }, title),
    element('p', { id: `${id}-text` }, text),
    ...rest,
  );
}

export const failure = () => element('p', { role: 'alert' });

/** Shows it; the stop that is returned gives the focus back. */
export function show(made: HTMLDialogElement): () => void {
  const before = document.activeElement;
  document.body.append(made);
  made.showModal();
  return () => {
    made.close();
    made.remove();
    if (before instanceof HTMLElement) before.focus();
  };
}
