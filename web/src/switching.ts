import { post } from './api.js';
import { ask } from './ask.js';
import { setPin } from './pin.js';
import { type Choice, type Tab, tell } from './tab.js';
import { heard, show } from './voice.js';
import { type Id, idOf, type SwitchAnswer } from './wire.js';

/**
 * Shows the choice at once, and makes it the session's. While one choice is on its way the newest
 * waits, and replaces what waited before: whoever chose that gets the newest one's answer.
 */
export function choose(tab: Tab, choice: Choice): Promise<SwitchAnswer> {
  if (idOf(tab.pending_) !== idOf(choice)) {
    tab.pending_ = choice;
    show(tab);
    tab.choosing_ = tab.switch_();
  }
  return tab.choosing_!;
}

export async function makeSwitch(tab: Tab): Promise<SwitchAnswer> {
  const choice = tab.pending_!;
  const id = idOf(choice)!;
  try {
    if (idOf(tab.switched_?.platform) !== id) {
      tab.switched_ = await post<SwitchAnswer>(tab, `/api/switch_platform/${encodeURIComponent(id)}`);
      const { platform } = tab.switched_;
      await announceSwitch(tab, platform.id, platform.name);
      // Who switches in a pinned tab wants to see it there.
      if (tab.pin_) setPin(tab);
    }
    return tab.switched_!;
  } finally {
    if (tab.pending_ === choice) {
      tab.pending_ = tab.switched_ = undefined;
      show(tab);
    }
  }
}

/** Tells the other tabs at once; what they and this one show is what the server then says. */
export function announceSwitch(tab: Tab, id: Id, name: string): Promise<unknown> {
  heard(tab, 'local', 'hint');
  tell(tab, { type: 'hint', platformId: String(id), platformName: name });
  return ask(tab);
}
