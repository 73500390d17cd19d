import { ask, insist } from './ask.js';
import { openChannel } from './channel.js';
import { watchActivity, watchTime } from './idle.js';
import { takePart } from './leader.js';
import { attempt, listen, type Stop, stopAll } from './scope.js';
import { claimTabId, handOnTabId } from './storage.js';
import { handleIn, heartbeatInterval, now, SECOND, type Tab, visible } from './tab.js';
import { keep } from './transport.js';
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
    listen(scope, 'offline', () => tab.transport_ && setStatus(tab, 'offline')),
    listen(scope, 'online', () => reconnect(tab)),
    listen(document, 'DOMContentLoaded', () => show(tab)),
    watchTime(tab),
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

/** For a connection that may be dead, or could be had again. */
export function reconnect(tab: Tab): void {
  if (!tab.transport_) return;
  setStatus(tab, 'reconnecting');
  if (!tab.inCharge_) return;
  tab.transport_.stop_();
  tab.transport_ = undefined;
  settle(tab);
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

function connect(tab: Tab): Stop {
  const { scope_: scope } = tab;
  const lead = () => keep(tab, true);
  const goAlone = () => keep(tab, false);
  const canLead = tab.channel_ && scope.EventSource && attempt(() => scope.navigator.locks);
  return stopAll([watchActivity(tab), canLead ? takePart(tab, lead, goAlone) : goAlone()]);
}
