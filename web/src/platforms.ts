import { get } from './post.js';
import { pinned } from './pin.js';
import type { Tab } from './tab.js';
import { raise } from './voice.js';
import { type Id, idOf, type SessionPlatform } from './wire.js';

/** Stays with a platform of the person's. */
export async function pin(tab: Tab, id: Id): Promise<void> {
  const platform = await find(tab, id);
  if (!platform) throw tab.core_.refused_(404, { error: 'There is no such platform among yours.' });
  tab.core_.setPin_(tab, platform);
}

/** Looks whether the pinned platform is still the person's, and says so if it is not. */
export function checkPin(tab: Tab): void {
  const platform = pinned(tab);
  if (!platform) return;
  find(tab, platform.id).then(
    (found) => {
      if (pinned(tab) !== platform) return;
      if (JSON.stringify(found) !== JSON.stringify(platform)) tab.core_.setPin_(tab, found);
      if (found) return;
      const error = `${platform.name} is not yours any more: this tab follows the others again.`;
      raise(tab, tab.core_.refused_(404, { error, error_code: 'PLATFORM_NOT_FOUND' }));
    },
    () => {}, // Nothing is known; the next state will ask again.
  );
}

async function find(tab: Tab, id: Id): Promise<SessionPlatform | undefined> {
  type Listed = SessionPlatform & { platform_type: string };
  const { platforms } = await get<{ platforms: Listed[] }>(tab, '/api/user_platforms');
  const found = platforms.find((platform) => idOf(platform) === String(id));
  return found && { id: found.id, name: found.name, type: found.platform_type, instance_url: found.instance_url! };
}
