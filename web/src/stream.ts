import { after, attempt, listen, type Scope } from './scope.js';

const KINDS = [
  'heartbeat',
  'state',
  'platform_switched',
  'sessions_changed',
  'expiring',
  'ended',
] as const;
export type StreamKind = (typeof KINDS)[number];

/** How long the first word may take, in ms. */
const OPENS_WITHIN = 5000;
/** The longest silence. The server says something at least each 15 s. */
const SILENCE = 40_000;

/** How a stream came to its end: the server said so, it broke, or nothing came through. */
export type StreamEnd = 'ended' | 'broken' | 'silent';

/**
 * Reads the server's events until the stream breaks or the signal is aborted.
 * The browser's own reconnecting is not used: it waits for seconds and never tells why.
 */
export function readStream(
  scope: Scope,
  /** The last event this tab has: its session's handle and the stamp. */
  last: string | undefined,
  signal: AbortSignal,
  onEvent: (kind: StreamKind, data: unknown) => void,
): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const query = last ? `?last_event_id=${encodeURIComponent(last)}` : '';
    const source = new scope.EventSource(`/api/session/events${query}`);
    const finish = (how: StreamEnd) => {
      cancel();
      unhear();
      source.close();
      resolve(how);
    };
    const fail = () => finish('broken');
    // A proxy that buffers opens the stream, or not even that, and breaks nothing.
    const within = (ms: number) => after(scope, ms, () => finish('silent'));
    let cancel = within(OPENS_WITHIN);
    const unhear = listen(signal, 'abort', fail);
    source.addEventListener('error', fail);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (signal.aborted) return;
        cancel();
        cancel = within(SILENCE);
        if (kind === 'ended') finish(kind);
        const data: unknown = attempt(() => JSON.parse((event as MessageEvent<string>).data));
        if (data && typeof data === 'object') onEvent(kind, data);
      });
    }
  });
}
