import type { SessionSync, Snapshot } from '@vedfolnir/session-sync';
import { onScopeDispose, type ShallowRef, shallowRef } from 'vue';

/** What the tab knows of its session, for as long as the component (or effect scope) lives. */
export function useSession(sync: SessionSync): Readonly<ShallowRef<Snapshot>> {
  const snapshot = shallowRef(sync.getSnapshot());
  onScopeDispose(sync.subscribe((now) => (snapshot.value = now)));
  return snapshot;
}
