import { after, attempt, listen, type Scope } from './scope.js';

const KINDS = ['state', 'platform_switched', 'sessions_changed', 'expiring', 'ended'] as const;
export type StreamKind = (typeof KINDS)[number];

const OPEN_WITHIN = 10_000;

/**
 * Reads the server's events until the stream breaks or the signal is aborted (`false`), or the
 * server said that the session has ended (`true`).
 * The browser's own reconnecting is not used: it waits for seconds and never tells why.
 */
export function readStream(
  scope: Scope,
  /** The last event this tab has: its session's handle and the stamp. */
  last: string | undefined,
  signal: AbortSignal,
  onOpen: () => void,
  onEvent: (kind: StreamKind, data: unknown) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const query = last ? `?last_event_id=${encodeURIComponent(last)}` : '';
    const source = new scope.EventSource(`/api/session/events${query}`);
    const finish = (ended: boolean) => {
      cancel();
      unhear();
      source.close();
      resolve(ended);
    };
    const fail = () => finish(false);
    // A proxy that buffers neither opens the stream nor breaks it.
    const cancel = after(scope, OPEN_WITHIN, fail);
    const unhear = listen(signal, 'abort', fail);
    source.addEventListener('error', fail);
    source.addEventListener('open', () => {
      cancel();
      onOpen();
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (signal.aborted) return;
        if (kind === 'ended') finish(true);
        const data: unknown = attempt(() => JSON.parse((event as MessageEvent<string>).data));
        if (data && typeof data === 'object') onEvent(kind, data);
      });
    }
  });
}
