import { ask } from './ask.js';
import { openChannel } from './channel.js';
import { glance } from './glance.js';
import { hearStream } from './hear.js';
import { watchActivity } from './idle.js';
import { lead } from './leader.js';
import { fillForms, showTimeLeft, visible } from './page.js';
import { attempt, every, listen, type Stop, stopAll } from './scope.js';
import { claimTabId, handOnTabId, MARKER } from './storage.js';
import { checkInterval, handleIn, heartbeatInterval, now, SECOND, type Tab } from './tab.js';
import { insist, keep } from './transport.js';
import { handleOf } from './view.js';
import { debug, setStatus, show } from './voice.js';

/** Starts to keep a tab in touch, through all that a browser does to it. */
export function start(tab: Tab): Stop {
  const { scope_: scope } = tab;
  const { document } = scope;
  const over = new AbortController();
  /** The page is left, or about to be frozen: it must keep neither the lead nor a connection. */
  const handOn = () => {
    handOnTabId(scope, tab.id_);
    rest(tab);
  };
  const resume = () => {
    if (tab.running_) return;
    wake(tab);
    void ask(tab);
  };
  wake(tab);
  void insist(scope, () => ask(tab), over.signal);
  return stopAll([
    () => over.abort(),
    listen(scope, 'pagehide', handOn),
    listen(document, 'freeze', handOn),
    listen(scope, 'pageshow', (event) => {
      if ((event as PageTransitionEvent).persisted) resume();
    }),
    listen(document, 'resume', resume),
    listen(scope, 'focus', () => look(tab)),
    listen(document, 'visibilitychange', () => look(tab)),
    listen(scope, 'offline', () => tab.transport_ && setStatus(tab, 'offline')),
    listen(scope, 'online', () => reconnect(tab)),
    listen(scope, 'storage', (event) => {
      if ((event as StorageEvent).key === MARKER) glance(tab);
    }),
    listen(document, 'submit', () => tab.view_ && fillForms(scope, tab.view_)),
    listen(document, 'DOMContentLoaded', () => show(tab)),
    every(scope, SECOND, () => visible(scope) && tab.view_ && showTimeLeft(scope, tab.view_)),
    () => rest(tab),
  ]);
}

function wake(tab: Tab): void {
  claimTabId(tab.scope_);
  tab.running_ = true;
  settle(tab);
}

export function rest(tab: Tab): void {
  tab.running_ = false;
  settle(tab);
}

/** Focus and visibility come in pairs, and most of them with nothing new to learn. */
function look(tab: Tab): void {
  const quiet = now(tab) - tab.heardAt_;
  const enough = tab.status_ === 'live' ? heartbeatInterval(tab) : SECOND;
  if (tab.running_ && tab.enabled_ && visible(tab.scope_) && quiet > enough) void ask(tab);
}

function reconnect(tab: Tab): void {
  if (!tab.transport_) return;
  setStatus(tab, 'reconnecting');
  if (!tab.inCharge_) return;
  tab.transport_.stop_();
  tab.transport_ = undefined;
  settle(tab);
}

/** Brings channel and transport in line with what is known. */
export function settle(tab: Tab): void {
  const syncing = tab.running_ && tab.answered_ && tab.enabled_;
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
  const canLead = tab.channel_ && scope.EventSource && attempt(() => scope.navigator.locks);
  if (canLead) setStatus(tab, 'live');
  return stopAll([
    every(scope, checkInterval(tab), () => visible(scope) && glance(tab)),
    watchActivity(tab),
    canLead ? lead(scope, () => takeCharge(tab, true)) : takeCharge(tab, false),
  ]);
}

function takeCharge(tab: Tab, leading: boolean): Stop {
  const { scope_: scope } = tab;
  tab.inCharge_ = true;
  tab.leading_ = leading;
  debug(tab, leading ? 'leads' : 'polls');
  const stop = keep(
    scope,
    {
      interval_: checkInterval(tab),
      ask_: () => ask(tab),
      unseen_: () => !leading && !visible(scope),
      last_() {
        const { state } = tab.view_ ?? {};
        return state?.stamp && handleOf(state) && `${handleOf(state)}.${state.stamp}`;
      },
      hear_: (kind, data) => hearStream(tab, kind, data as object),
      status_: (status) => setStatus(tab, status, leading),
    },
    leading,
  );
  return () => {
    tab.inCharge_ = tab.leading_ = false;
    stop();
  };
}
