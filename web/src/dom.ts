export type Attributes = Record<string, string>;

/** An element with text or children; never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Writes a text only where it differs, so that a selection or a reader's place survives. */
export function write(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
