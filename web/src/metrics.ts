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
}

export class Metrics {
  streamEvents = 0;
  channelMessages = 0;
  #count = 0;
  #errors = 0;
  #time = 0;

  record(ms: number, failed: boolean): void {
    this.#count++;
    if (failed) this.#errors++;
    else this.#time += ms;
  }

  read(): PerformanceMetrics {
    return {
      syncCount: this.#count,
      errorCount: this.#errors,
      errorRate: this.#count && this.#errors / this.#count,
      avgSyncTime: this.#time / (this.#count - this.#errors || 1),
      streamEvents: this.streamEvents,
      channelMessages: this.channelMessages,
    };
  }
}
