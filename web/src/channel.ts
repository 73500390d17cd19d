import { attempt, type Scope } from './scope.js';
import type { SessionState, SyncStatus } from './wire.js';

export interface ExpiringNotice {
  secondsLeft: number;
  canExtend: boolean;
}

/** What tabs tell each other. Only news from the server or a person is told, never a reply. */
export type Telling =
  | { type: 'state'; kind: string; state: SessionState }
  | { type: 'ended'; handle: string | undefined; code: string | undefined; reason: string }
  | { type: 'expiring'; handle: string | undefined; notice: ExpiringNotice }
  /** A tab has asked for a switch; to be believed only once the server agrees. */
  | { type: 'hint'; platformId: string; platformName: string }
  | { type: 'status'; status: SyncStatus }
  /** A person did something in the sending tab. */
  | { type: 'active' };

const VERSION = 1;

export type Message = Telling & {
  v: typeof VERSION;
  /** When the sender heard it, in ms since the epoch. */
  at: number;
};

export interface Channel {
  post(telling: Telling, at: number): void;
  close(): void;
}

/** Opens the channel between this browser's tabs, or says `undefined` where there is none. */
export function openChannel(scope: Scope, hear: (message: Message) => void): Channel | undefined {
  const channel = attempt(() => new scope.BroadcastChannel('vedfolnir_session'));
  if (!channel) return undefined;
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    // Another version is a tab with another release of this script: it will be reloaded some day.
    if (data?.v === VERSION) hear(data);
  };
  return {
    post: (telling, at) => void attempt(() => channel.postMessage({ ...telling, v: VERSION, at })),
    close: () => channel.close(),
  };
}
