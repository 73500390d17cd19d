import { post } from './post.js';
import type { Tab } from './tab.js';
import { idOf, type SwitchAnswer } from './wire.js';

/** Makes the newest choice the session's. */
export async function makeSwitch(tab: Tab, id: string): Promise<SwitchAnswer> {
  if (idOf(tab.switched_?.platform) !== id) {
    tab.switched_ = await post<SwitchAnswer>(tab, `/api/switch_platform/${encodeURIComponent(id)}`);
    const { platform } = tab.switched_;
    await tab.core_.announceSwitch_(tab, platform.id, platform.name);
    // Who switches in a pinned tab wants to see it there.
    if (tab.pin_) tab.core_.setPin_(tab);
  }
  return tab.switched_!;
}
