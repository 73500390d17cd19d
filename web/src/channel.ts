import { ask } from './ask.js';
import { end } from './end.js';
import { MESSAGE_DELAY } from './glance.js';
import { hearTold } from './hear.js';
import { acted, expiring } from './idle.js';
import { after, attempt } from './scope.js';
import { handleIn, now, type Tab } from './tab.js';
import { heard, setStatus } from './voice.js';
import { idOf, type SessionState, type SyncStatus } from './wire.js';

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

type Message = Telling & {
  v: typeof VERSION;
  /** When the sender heard it, in ms since the epoch. */
  at: number;
};

/** Opens the channel between this browser's tabs, or says `undefined` where there is none. */
export function openChannel(tab: Tab): Tab['channel_'] {
  const channel = attempt(() => new tab.scope_.BroadcastChannel('vedfolnir_session'));
  if (!channel) return undefined;
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    // Another version is a tab with another release of this script: it will be reloaded some day.
    if (data?.v === VERSION) receive(tab, data);
  };
  return {
    tell_: (telling, at) => void attempt(() => channel.postMessage({ ...telling, v: VERSION, at })),
    close_: () => channel.close(),
  };
}

function receive(tab: Tab, message: Message): void {
  const { type, at } = message;
  tab.heardAt_ = now(tab);
  tab.channelMessages_++;
  const state = type === 'state' ? message.state : undefined;
  heard(tab, 'channel', type === 'state' ? message.kind : type, state?.stamp, at);
  switch (type) {
    case 'state':
      return void hearTold(tab, message.state, message.kind, at);
    case 'ended':
      if (tab.view_ && message.handle === handleIn(tab)) {
        end(tab, { error_code: message.code ?? '', reason: message.reason }, false);
      }
      return;
    case 'expiring':
      if (message.handle === handleIn(tab)) expiring(tab, message.notice, false);
      return;
    case 'hint':
      if (!tab.inCharge_) return;
      after(tab.scope_, MESSAGE_DELAY, () => {
        if (idOf(tab.view_?.state.platform) !== message.platformId) void ask(tab, tab.leading_);
      });
      return;
    case 'status':
      if (!tab.inCharge_ && tab.view_) setStatus(tab, message.status);
      return;
    case 'active':
      if (tab.leading_) acted(tab);
  }
}
