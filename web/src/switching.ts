import { ask } from './ask.js';
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
  const choice = tab.pending_;
  try {
    return await (await tab.act_()).makeSwitch(tab, idOf(choice)!);
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
