import { ask, insist } from './ask.js';
import { openChannel } from './channel.js';
import { backoff, listen, pause, type Stop, stopAll } from './scope.js';
import { claimTabId, handOnTabId } from './storage.js';
import { handleIn, heartbeatInterval, now, SECOND, type Tab, visible } from './tab.js';
import { setStatus, show } from './voice.js';

/** Starts to keep a tab in touch, through all that a browser does to it. */
export function start(tab: Tab): Stop {
  const { scope_: scope } = tab;
  const { document } = scope;
  /** The page is left, or about to be frozen: it must keep neither the lead nor a connection. */
  const handOn = () => {
    handOnTabId(scope, tab.id_);
    rest(tab);
  };
  const wake = () => {
    if (tab.life_) return;
    claimTabId(scope);
    tab.life_ = new AbortController();
    settle(tab);
    void insist(tab);
  };
  wake();
  return stopAll([
    listen(scope, 'pagehide', handOn),
    listen(document, 'freeze', handOn),
    listen(scope, 'pageshow', (event) => {
      if ((event as PageTransitionEvent).persisted) wake();
    }),
    listen(document, 'resume', wake),
    listen(scope, 'focus', () => look(tab)),
    listen(document, 'visibilitychange', () => look(tab)),
    listen(document, 'DOMContentLoaded', () => show(tab)),
    () => rest(tab),
  ]);
}

export function rest(tab: Tab): void {
  tab.life_?.abort();
  tab.life_ = tab.insisting_ = undefined;
  settle(tab);
}

/** Focus and visibility come in pairs, and most of them with nothing new to learn. */
function look(tab: Tab): void {
  const enough = tab.status_ === 'live' ? heartbeatInterval(tab) : SECOND;
  if (tab.life_ && !tab.alone_ && visible(tab) && now(tab) - tab.heardAt_ > enough) void ask(tab);
}

/** Brings channel and transport in line with what is known. */
export function settle(tab: Tab): void {
  const syncing = tab.life_ && tab.answeredAt_ && !tab.alone_;
  if (syncing) tab.channel_ ??= openChannel(tab);
  else {
    tab.channel_?.close_();
    tab.channel_ = undefined;
  }
  const wanted = syncing && tab.view_;
  const handle = handleIn(tab);
  const { transport_: transport } = tab;
  if (transport ? wanted && transport.handle_ === handle : !wanted) return;
  transport?.stop_();
  tab.transport_ = wanted ? { handle_: handle, stop_: connect(tab) } : undefined;
}

/** What keeps in touch is loaded with the first session; until then the tab only hears the others. */
function connect(tab: Tab, since = now(tab)): Stop {
  if (tab.loaded_) return tab.loaded_.connect(tab);
  let over = false;
  let stop: Stop | undefined;
  const failed = () => {
    if (over) return;
    setStatus(tab, 'reconnecting');
    return pause(tab.scope_, backoff(2, now(tab) - since), tab.life_?.signal);
  };
  const next = () => {
    if (!over) stop = connect(tab, since);
  };
  void tab.live_().then((live) => void (tab.loaded_ = live), failed).then(next);
  return () => {
    over = true;
    stop?.();
  };
}
