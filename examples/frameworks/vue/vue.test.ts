import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createApp, defineComponent, h } from 'vue';
import { advance, signedIn } from '../../../web/test/world.js';
import { useSession } from './use-session.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Two tabs, and in each of them a component. */
async function shown() {
  const world = await signedIn(2);
  const views = world.tabs.map(({ sync }) => {
    const renders = { count: 0 };
    const app = createApp(defineComponent({
      setup() {
        const session = useSession(sync);
        return () => {
          renders.count++;
          const { state, status, pending } = session.value;
          return h('p', [state ? `${state.user?.username} as ${(pending ?? state.platform)?.name}, ${status}${pending ? ', switching' : ''}` : 'nobody']);
        };
      },
    }));
    const view = document.createElement('div');
    app.mount(view);
    return { view, app, renders };
  });
  return { ...world, views, texts: () => views.map(({ view }) => view.textContent) };
}

test('Vue: a switch in one tab shows in both', async () => {
  const { tabs, texts } = await shown();
  expect(texts()).toEqual(['ada as Platform 1, live', 'ada as Platform 1, live']);
  void tabs[0]!.sync.switchPlatform(2, 'Platform 2');
  await Promise.resolve();
  expect(texts()[0]).toBe('ada as Platform 2, live, switching');
  await advance(200);
  expect(texts()).toEqual(['ada as Platform 2, live', 'ada as Platform 2, live']);
});

test('Vue: the end shows in both, and a component that is gone hears nothing', async () => {
  const { server, session, views, texts } = await shown();
  views[1]!.app.unmount();
  const { count } = views[1]!.renders;
  server.end(session, 'SESSION_ENDED', 'revoked_by_user');
  await advance(500);
  expect(texts()[0]).toBe('nobody');
  expect(views[1]!.renders.count).toBe(count);
});
