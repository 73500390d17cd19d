import { attempt } from './scope.js';
import { readPin, writePin } from './storage.js';
import { type Choice, stateIn, type Tab } from './tab.js';
import { dispatch, show } from './voice.js';
import { idOf, type SessionPlatform, type SessionState } from './wire.js';

/** The platform that this tab stays with, if it belongs to the person who is signed in. */
export function pinned(tab: Tab): SessionPlatform | undefined {
  const { pin_: pin } = tab;
  return pin && pin.user === idOf(stateIn(tab)?.user) ? pin.platform : undefined;
}

/** What the page shows, and so what it acts as. */
export const shownPlatform = (tab: Tab): Choice | null | undefined =>
  tab.pending_ ?? pinned(tab) ?? stateIn(tab)?.platform;

export function withPin(tab: Tab, state: SessionState): SessionState {
  const platform = pinned(tab);
  return platform ? { ...state, platform } : state;
}

/** Says so, if the platform of this tab has become another. */
export function tellPlatform(tab: Tab): void {
  const state = stateIn(tab);
  const platform = state && withPin(tab, state).platform;
  const id = idOf(platform) ?? '';
  const { told_: told = id } = tab;
  tab.told_ = id;
  if (!platform || id === told) return;
  dispatch(tab, 'platformSwitched', {
    platformId: platform.id,
    platformName: platform.name,
    platformType: platform.type,
    stamp: state.stamp,
  });
}

export function setPin(tab: Tab, platform?: SessionPlatform): void {
  tab.pin_ = platform && { user: idOf(stateIn(tab)?.user), platform };
  writePin(tab.scope_, platform && JSON.stringify(tab.pin_));
  show(tab);
  tellPlatform(tab);
}

/** What was pinned before the page was loaded anew. */
export const restorePin = (tab: Tab): void => {
  tab.pin_ = attempt(() => JSON.parse(readPin(tab.scope_) ?? 'null')) ?? undefined;
};

/** Looks whether the pinned platform is still the person's. Should that fail, the next state asks again. */
export function checkPin(tab: Tab): void {
  if (pinned(tab)) tab.act_().then(({ checkPin }) => checkPin(tab), () => {});
}
