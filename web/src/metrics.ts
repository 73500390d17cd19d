import { now, type Tab } from './tab.js';

/** What one tab did since it was loaded. */
export interface PerformanceMetrics {
  /** Questions put to `/api/session_state`, answered or not. */
  syncCount: number;
  errorCount: number;
  /** From 0 to 1; 0 before the first question. */
  errorRate: number;
  /** Mean time to an answer, in ms. */
  avgSyncTime: number;
  /** Events that the stream brought to this tab. */
  streamEvents: number;
  /** Messages that other tabs sent to this one. */
  channelMessages: number;
  /** Streams that were opened after the first. */
  reconnects: number;
  /** All requests that the client made by itself. */
  requests: number;
  /** At the rate since the tab began; of its first minute as if it were over. */
  requestsPerHour: number;
  /** Whether the tab keeps in touch for all, by another, or for itself. */
  role: 'leader' | 'follower' | 'alone';
  transport: 'stream' | 'polling' | 'none';
  /**
   * How long the server's word took to this tab, from whomever it heard it, in ms, beyond the
   * quickest of the last hundred: clocks differ. 0 before the first.
   */
  deliveryP50: number;
  deliveryP99: number;
}

const KEPT = 100;
const HOUR = 3_600_000;

/** Notes how much later it is here than the server said it was. */
export function noteLag(tab: Tab, lag: number): void {
  if (lag === lag && tab.lags_.push(lag) > KEPT) tab.lags_.shift();
}

export function metricsOf(tab: Tab): PerformanceMetrics {
  const { counts_: counts } = tab;
  const { syncCount, errorCount, requests } = counts;
  return {
    ...counts,
    errorRate: syncCount && errorCount / syncCount,
    avgSyncTime: tab.time_ / (syncCount - errorCount || 1),
    requestsPerHour: (requests * HOUR) / Math.max(now(tab) - tab.began_, HOUR / 60),
    // So it is until there is something to keep in touch with.
    role: 'follower',
    transport: 'none',
    deliveryP50: 0,
    deliveryP99: 0,
    ...tab.loaded_?.touchOf(tab),
  };
}

/** The part of it that only a tab in touch can tell. */
export function touchOf(tab: Tab): Pick<PerformanceMetrics, 'role' | 'transport' | 'deliveryP50' | 'deliveryP99'> {
  const { lags_: lags, status_: status } = tab;
  const sorted = [...lags].sort((a, b) => a - b);
  const delivery = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]! - sorted[0]! || 0;
  return {
    role: tab.leading_ ? 'leader' : tab.inCharge_ ? 'alone' : 'follower',
    transport: status === 'live' ? 'stream' : status === 'polling' ? status : 'none',
    deliveryP50: delivery(0.5),
    deliveryP99: delivery(0.99),
  };
}
