import { expectTypeOf, test } from 'vitest';
import {
  type Heard,
  isSessionRefused,
  type SessionState,
  SessionSync,
  type SwitchAnswer,
} from '../src/index.js';

test('the types say what the methods do', () => {
  expectTypeOf<SessionSync['init']>().returns.toEqualTypeOf<() => void>();
  expectTypeOf<SessionSync['syncSessionState']>().returns.resolves.toEqualTypeOf<SessionState | null>();
  expectTypeOf<SessionSync['validateSession']>().returns.resolves.toEqualTypeOf<boolean>();
  expectTypeOf<SessionSync['switchPlatform']>().parameter(0).toEqualTypeOf<number | string>();
  expectTypeOf<SessionSync['switchPlatform']>().returns.resolves.toEqualTypeOf<SwitchAnswer>();
  expectTypeOf<SessionSync['notifyPlatformSwitch']>().returns.toEqualTypeOf<void>();
  expectTypeOf<SessionSync['onMessage']>().parameter(0).parameter(0).toEqualTypeOf<Heard>();
  expectTypeOf<SessionSync['lastSyncTime']>().toEqualTypeOf<number | null>();
  const error: unknown = undefined;
  if (isSessionRefused(error)) expectTypeOf(error.status).toEqualTypeOf<number>();
});
