import { failureOf, send } from './api.js';
import { ask, insist } from './ask.js';
import { end, forget } from './end.js';
import { refused } from './errors.js';
import { hear } from './hear.js';
import { settle } from './life.js';
import { setPin } from './pin.js';
import { announceSwitch } from './switching.js';
import { changed, complain, setStatus } from './voice.js';

/** What the parts that are loaded later must not have twice. What is small and pure they may. */
export const core = {
  announceSwitch_: announceSwitch,
  ask_: ask,
  changed_: changed,
  complain_: complain,
  end_: end,
  failureOf_: failureOf,
  forget_: forget,
  hear_: hear,
  insist_: insist,
  refused_: refused,
  send_: send,
  setPin_: setPin,
  setStatus_: setStatus,
  settle_: settle,
};
export type Core = typeof core;
