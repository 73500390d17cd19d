import { ask } from './ask.js';
import { rest, settle } from './life.js';
import { checkPin, tellPlatform, withPin } from './pin.js';
import { handleIn, now, stateIn, type Tab, tell } from './tab.js';
import { handleOf, weigh } from './view.js';
import { dispatch, type Heard, heard, show } from './voice.js';
import { idOf, type SessionState } from './wire.js';

/** Takes in a state that the server vouches for, if it is not behind what is known. */
export function hear(
  tab: Tab,
  state: SessionState,
  source: Heard['source'],
  kind: string,
  at: number,
  announce: boolean,
): void {
  const before = stateIn(tab);
  const verdict = weigh(before, state);
  const other = verdict === 'other';
  tab.loaded_?.noteLag(tab, now(tab) - toldAt(state));
  if (source !== 'channel') heard(tab, source, kind, state.stamp);
  if (tab.replaced_) return;
  const announceIt = () => announce && tell(tab, { type: 'state', kind, state }, at);
  const user = idOf(state.user);
  if (other && tab.user_ && user && user !== tab.user_) {
    tab.replaced_ = true;
    announceIt();
    rest(tab);
    return tab.scope_.location.reload();
  }
  if (!other && tab.inCharge_ && tab.loaded_?.leavesGap(before?.stamp, state.stamp)) void ask(tab, tab.leading_);
  if (verdict === 'older') return;
  if (verdict === 'same') {
    // Of one stamp, the later telling has the later deadlines.
    if (toldAt(state) < toldAt(before!)) return;
    tab.view_ = { state, at };
    if (JSON.stringify(state.session) !== JSON.stringify(before!.session)) announceIt();
    return show(tab);
  }
  tab.view_ = { state, at };
  if (other && before) tab.left_.add(handleOf(before));
  tab.user_ = user;
  tab.alone_ = state.sync?.enabled === false;
  tab.left_.delete(handleOf(state));
  tab.over_ = undefined;
  settle(tab);
  announceIt();
  show(tab);
  dispatch(tab, 'sessionStateChanged', withPin(tab, state));
  tellPlatform(tab);
  checkPin(tab);
}

const toldAt = ({ sync, timestamp }: SessionState) => Date.parse(sync?.server_time ?? timestamp ?? '');

/** Takes in what another tab passes on. Whose session it is, the tab judges by itself. */
export async function hearTold(
  tab: Tab,
  state: SessionState,
  kind: string,
  at: number,
): Promise<void> {
  // The answer to a question already asked may settle whose state this is.
  if (weigh(stateIn(tab), state) === 'other') await tab.flight_;
  const handle = handleOf(state);
  if (tab.view_ && handleIn(tab) === handle) hear(tab, state, 'channel', kind, at, false);
  // Another session: whose cookie the browser holds now, only the server can say.
  else if (tab.life_ && !tab.left_.has(handle)) void ask(tab, false);
}
