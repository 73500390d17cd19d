import { ask } from './ask.js';
import { end } from './end.js';
import { expiring } from './idle.js';
import { rest, settle } from './life.js';
import { compareStamps, leavesGap } from './stamp.js';
import { writeMarker } from './storage.js';
import type { StreamKind } from './stream.js';
import { handleIn, now, type Tab, tell } from './tab.js';
import { handleOf, weigh } from './view.js';
import { dispatch, type Heard, heard, show } from './voice.js';
import { idOf, type Refusal, type SessionState } from './wire.js';

/** Takes in a state that the server vouches for, if it is not behind what is known. */
export function hear(
  tab: Tab,
  state: SessionState,
  source: Heard['source'],
  kind: string,
  at: number,
  announce: boolean,
): void {
  const before = tab.view_;
  const verdict = weigh(before?.state, state);
  if (source !== 'channel') heard(tab, source, kind, state.stamp);
  if (tab.replaced_) return;
  const announceIt = () => announce && tell(tab, { type: 'state', kind, state }, at);
  const user = idOf(state.user);
  if (verdict === 'other' && tab.user_ && user && user !== tab.user_) {
    tab.replaced_ = true;
    announceIt();
    rest(tab);
    return tab.scope_.location.reload();
  }
  const gap = verdict !== 'other' && leavesGap(before?.state.stamp, state.stamp);
  // Of one stamp, the later telling has the later deadlines.
  if (verdict !== 'older' && !(verdict === 'same' && toldBefore(state, before!.state))) {
    tab.view_ = { state, at };
  }
  if (gap && tab.inCharge_) void ask(tab, tab.leading_);
  if (verdict === 'same' || verdict === 'older') return show(tab);
  if (verdict === 'other') {
    tab.era_++;
    if (before) tab.left_.add(handleOf(before.state));
  }
  tab.user_ = user;
  tab.enabled_ = state.sync?.enabled !== false;
  tab.left_.delete(handleOf(state));
  tab.over_ = tab.signedOut_ = false;
  settle(tab);
  announceIt();
  show(tab);
  dispatch(tab, 'sessionStateChanged', state);
  const { platform } = state;
  if (before && platform && idOf(platform) !== idOf(before.state.platform)) {
    dispatch(tab, 'platformSwitched', {
      platformId: platform.id,
      platformName: platform.name,
      platformType: platform.type,
      stamp: state.stamp,
    });
  }
}

function toldBefore(a: SessionState, b: SessionState): boolean {
  const time = ({ sync, timestamp }: SessionState) => Date.parse(sync?.server_time ?? timestamp ?? '');
  return time(a) < time(b);
}

/** Takes in what another tab passes on. Whose session it is, the tab judges by itself. */
export async function hearTold(
  tab: Tab,
  state: SessionState,
  kind: string,
  at: number,
): Promise<void> {
  // The answer to a question already asked may settle whose state this is.
  if (weigh(tab.view_?.state, state) === 'other') await tab.flight_;
  const handle = handleOf(state);
  if (tab.view_ && handleIn(tab) === handle) hear(tab, state, 'channel', kind, at, false);
  // Another session: whose cookie the browser holds now, only the server can say.
  else if (tab.running_ && !tab.left_.has(handle)) void ask(tab, false);
}

export function hearStream(tab: Tab, kind: StreamKind, data: SessionState & Refusal): void {
  const at = (tab.heardAt_ = now(tab));
  tab.streamEvents_++;
  if (kind === 'state' || kind === 'platform_switched') {
    hear(tab, data, 'stream', kind, at, true);
    return writeMarker(tab.scope_, tab.view_?.state.stamp, tab.id_);
  }
  const { stamp } = data;
  heard(tab, 'stream', kind, stamp);
  if (kind === 'sessions_changed') {
    // Names a state ahead of ours without telling it.
    if (!(compareStamps(stamp, tab.view_?.state.stamp)! <= 0)) void ask(tab);
  } else if (kind === 'expiring') {
    const { seconds_left, can_extend } = data as Record<string, unknown>;
    expiring(tab, { secondsLeft: Number(seconds_left), canExtend: can_extend === true }, true);
  } else if (data.reason !== 'signed_out') {
    // Signed out, or signed in as somebody else? The server is asked next.
    end(tab, data, true);
  }
}
