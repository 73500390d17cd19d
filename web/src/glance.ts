import { ask } from './ask.js';
import { after } from './scope.js';
import { readMarker } from './storage.js';
import type { Tab } from './tab.js';

/** Longer than a message takes from tab to tab. */
export const MESSAGE_DELAY = 250;

/**
 * The marker in storage says how far any tab has come. A tab that is behind it for longer than a
 * message takes has missed one, and asks once.
 */
export function glance(tab: Tab): void {
  const marker = readMarker(tab.scope_);
  const behind = () => tab.running_ && tab.view_ && marker !== (tab.view_.state.stamp ?? null);
  if (marker === tab.settledMarker_ || !behind()) return;
  after(tab.scope_, MESSAGE_DELAY, async () => {
    if (!behind() || marker !== readMarker(tab.scope_)) return;
    const { answered } = await ask(tab, false);
    if (answered) tab.settledMarker_ = marker;
  });
}
