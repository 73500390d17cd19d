import type { SessionSync } from '../session-sync.js';

const ms = (value: number | undefined): string =>
  value === undefined ? '–' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

const clock = (at: number | null): string => (at === null ? 'never' : new Date(at).toLocaleTimeString());

/** What is so, by name; nothing in it opens a session. */
export function factsOf(sync: SessionSync): Record<string, string> {
  const { state, pending, pinned } = sync.getSnapshot();
  const metrics = sync.getPerformanceMetrics();
  return {
    Tab: sync.getTabId(),
    Role: metrics.role,
    Transport: metrics.transport,
    Stamp: state?.stamp ?? '–',
    Session: state?.session?.session_id ?? '–',
    'Signed in': state?.user?.username ?? 'nobody',
    'Acts as': `${state?.platform?.name ?? 'no platform'}${pinned ? ', pinned' : ''}${pending ? ', switching' : ''}`,
    'Server asked': clock(sync.lastSyncTime),
    Questions: `${metrics.syncCount}, ${ms(metrics.avgSyncTime)} each`,
    'Failed questions': `${(metrics.errorRate * 100).toFixed(1)} %`,
    'Requests per hour': String(Math.round(metrics.requestsPerHour)),
    Reconnects: String(metrics.reconnects),
    'Delivery, median': ms(metrics.deliveryP50),
    'Delivery, 99 %': ms(metrics.deliveryP99),
    'Events heard': String(metrics.streamEvents),
    'Messages heard': String(metrics.channelMessages),
  };
}
