import { compareStamps } from './stamp.js';
import { writeMarker } from './storage.js';
import type { StreamKind } from './stream.js';
import { now, stateIn, type Tab } from './tab.js';
import { type Heard, heard } from './voice.js';
import type { Refusal, SessionState } from './wire.js';

/** Takes in what the stream says. */
export function hearStream(tab: Tab, kind: StreamKind, data: SessionState & Refusal & Expiring): void {
  const at = (tab.heardAt_ = now(tab));
  const state = stateIn(tab);
  if (kind !== 'heartbeat') tab.counts_.streamEvents++;
  switch (kind) {
    case 'state':
    case 'platform_switched':
      tab.core_.hear_(tab, data, 'stream', kind, at, true);
      return writeMarker(tab.scope_, stateIn(tab)?.stamp, tab.id_);
    case 'expiring':
      return amend(tab, 'stream', kind, {
        idle_expires_at: data.expires_at,
        can_extend: data.can_extend,
      });
    case 'sessions_changed':
      heard(tab, 'stream', kind, data.stamp);
      // Names a state ahead of ours without telling it.
      if (!(compareStamps(data.stamp, state?.stamp)! <= 0)) void tab.core_.ask_(tab);
      return;
    case 'ended':
      heard(tab, 'stream', kind);
      // Signed out, or signed in as somebody else? The server is asked next.
      if (data.reason !== 'signed_out') tab.core_.end_(tab, data, true);
  }
}

interface Expiring {
  expires_at: string;
  can_extend: boolean;
}

/** Takes in other deadlines of the session that is known, in every tab. */
export function amend(
  tab: Tab,
  source: Heard['source'],
  kind: string,
  deadlines: Partial<NonNullable<SessionState['session']>>,
  server_time?: string,
): void {
  const state = stateIn(tab);
  if (!state?.session) return;
  const at = server_time ? now(tab) : tab.view_!.at;
  const sync = server_time ? { ...state.sync, server_time } : state.sync;
  const session = { ...state.session, ...deadlines };
  tab.core_.hear_(tab, { ...state, session, ...(sync && { sync }) }, source, kind, at, true);
}
