import { act, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { advance, signedIn } from '../../../web/test/world.js';
import { PlatformSwitcher } from './PlatformSwitcher.jsx';

const PLATFORMS = [1, 2].map((id) => ({ id, name: `Platform ${id}` }));

beforeEach(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

/** Two tabs, and in each of them the component. */
async function shown() {
  const world = await signedIn(2);
  const views = world.tabs.map(({ sync }) => {
    const view = document.body.appendChild(document.createElement('div'));
    const root = createRoot(view);
    act(() => root.render(<StrictMode><PlatformSwitcher sync={sync} platforms={PLATFORMS} /></StrictMode>));
    return { view, root };
  });
  const settle = (ms = 200) => act(() => advance(ms));
  const titles = () => views.map(({ view }) => view.querySelector('h2')?.textContent);
  return { ...world, views, settle, titles };
}

test('React: a click in one tab shows in both', async () => {
  const { views, settle, titles } = await shown();
  expect(titles()).toEqual(['Platform 1', 'Platform 1']);
  act(() => views[0]!.view.querySelectorAll('button')[1]!.click());
  expect(views[0]!.view.querySelector('section')!.getAttribute('aria-busy')).toBe('true');
  expect(titles()).toEqual(['Platform 2', 'Platform 1']);
  await settle();
  expect(titles()).toEqual(['Platform 2', 'Platform 2']);
  expect(views[0]!.view.querySelector('section')!.getAttribute('aria-busy')).toBe('false');
  expect(views[1]!.view.querySelector('footer')!.textContent).toBe('ada, live');
});

test('React: what the server refuses is taken back, and said', async () => {
  const { server, views, settle, titles } = await shown();
  server.overrides.set('/api/switch_platform/2', () => ({ status: 404, body: { success: false, error: 'Not yours', error_code: 'PLATFORM_NOT_FOUND' } }));
  act(() => views[0]!.view.querySelectorAll('button')[1]!.click());
  expect(titles()).toEqual(['Platform 2', 'Platform 1']);
  await settle();
  expect(titles()).toEqual(['Platform 1', 'Platform 1']);
  expect(views[0]!.view.querySelector('[role=alert]')!.textContent).toMatch(/Not yours/);
});

test('React: the end shows in both, and a component that is gone hears nothing', async () => {
  const { server, session, views, settle } = await shown();
  act(() => views[1]!.root.unmount());
  server.end(session, 'SESSION_ENDED', 'revoked_by_user');
  await settle(500);
  expect(views[0]!.view.textContent).toBe('Nobody is signed in.');
  expect(views[1]!.view.textContent).toBe('');
});
