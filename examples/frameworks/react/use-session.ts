import type { SessionSync, Snapshot } from '@vedfolnir/session-sync';
import { useSyncExternalStore } from 'react';

/** What the tab knows of its session; the component renders anew when it changes. */
export function useSession(sync: SessionSync): Snapshot {
  return useSyncExternalStore(sync.subscribe, sync.getSnapshot, sync.getSnapshot);
}
