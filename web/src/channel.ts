import { ask } from './ask.js';
import { end } from './end.js';
import { hearTold } from './hear.js';
import { after, attempt } from './scope.js';
import { compareStamps } from './stamp.js';
import { handleIn, now, stateIn, type Tab } from './tab.js';
import { heard, setStatus } from './voice.js';
import { idOf, type Refusal, type SessionState, type SyncStatus } from './wire.js';

/** What tabs tell each other. But for one answer to a ping, no message is ever a reply. */
export type Telling =
  | { type: 'state'; kind: string; state: SessionState }
  | { type: 'ended'; handle: string | undefined; why: Refusal }
  /** A tab has asked for a switch; to be believed only once the server agrees. */
  | { type: 'hint'; platformId: string; platformName: string }
  /** A person did something in the sending tab. */
  | { type: 'active' }
  /** Is the leader there? Asked by tabs that somebody sees. */
  | { type: 'ping' }
  /** It is: how it goes, and how far it has come. */
  | {
      type: 'alive';
      status: SyncStatus | undefined;
      handle: string | undefined;
      stamp: string | undefined;
    };

/** Longer than a message takes from tab to tab. */
const MESSAGE_DELAY = 250;
const VERSION = 2;

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

/** What is still not so when messages that are on their way have arrived is asked about. */
const askUnless = (tab: Tab, settled: () => boolean): void =>
  void after(tab.scope_, MESSAGE_DELAY, () => {
    if (tab.view_ && !settled()) void ask(tab, tab.leading_);
  });

function receive(tab: Tab, message: Message): void {
  const { type, at } = message;
  tab.counts_.channelMessages++;
  // These are no news.
  if (type === 'ping') return void (tab.leading_ && tab.loaded_?.tellAlive(tab));
  if (type === 'alive') {
    if (tab.leading_ || !tab.view_) return;
    tab.spoken_ = true;
    if (message.status) setStatus(tab, message.status);
    const settled = () =>
      message.handle !== handleIn(tab) || !(compareStamps(message.stamp, stateIn(tab)?.stamp)! > 0);
    if (!settled()) askUnless(tab, settled);
    return;
  }
  tab.heardAt_ = now(tab);
  const state = type === 'state' ? message.state : undefined;
  heard(tab, 'channel', type === 'state' ? message.kind : type, state?.stamp, at);
  switch (type) {
    case 'state':
      return void hearTold(tab, message.state, message.kind, at);
    case 'ended':
      if (tab.view_ && message.handle === handleIn(tab)) {
        end(tab, message.why, false);
      }
      return;
    case 'hint':
      if (tab.inCharge_) askUnless(tab, () => idOf(stateIn(tab)?.platform) === message.platformId);
      return;
    case 'active':
      if (tab.leading_) tab.heed_?.();
  }
}
