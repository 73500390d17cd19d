import { visible } from './page.js';
import { every, listen, type Scope, type Stop } from './scope.js';
import { MARKER } from './storage.js';

/** What a browser does to a tab, as far as it matters here. */
export interface Life {
  /** The page is left, or about to be frozen: it must keep neither the lead nor a connection. */
  rest(): void;
  /** The page is back, as it was. */
  resume(): void;
  /** Focus and visibility come in pairs, and most of them with nothing new to learn. */
  look(): void;
  offline(): void;
  online(): void;
  /** Another tab wrote the marker. */
  marked(): void;
  /** A form is about to be sent. */
  submit(): void;
  /** The page's elements are all there. */
  loaded(): void;
  /** Each second that somebody can see the page. */
  tick(): void;
}

export function watchLife(scope: Scope, life: Life): Stop {
  const { document } = scope;
  const stops = [
    listen(scope, ['pagehide'], () => life.rest()),
    listen(document, ['freeze'], () => life.rest()),
    listen(scope, ['pageshow'], (event) => {
      if ((event as PageTransitionEvent).persisted) life.resume();
    }),
    listen(document, ['resume'], () => life.resume()),
    listen(scope, ['focus'], () => life.look()),
    listen(document, ['visibilitychange'], () => life.look()),
    listen(scope, ['offline'], () => life.offline()),
    listen(scope, ['online'], () => life.online()),
    listen(scope, ['storage'], (event) => {
      if ((event as StorageEvent).key === MARKER) life.marked();
    }),
    listen(document, ['submit'], () => life.submit()),
    listen(document, ['DOMContentLoaded'], () => life.loaded()),
    every(scope, 1000, () => {
      if (visible(scope)) life.tick();
    }),
  ];
  return () => stops.forEach((stop) => stop());
}
