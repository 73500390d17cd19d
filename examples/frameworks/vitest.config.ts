import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // In an application this comes from npm.
    alias: { '@vedfolnir/session-sync': fileURLToPath(new URL('../../web/src/index.ts', import.meta.url)) },
    // The client's tests, whose browser is used here, have one of their own.
    dedupe: ['vitest'],
  },
  test: { environment: 'happy-dom', include: ['*/*.test.{ts,tsx}'], testTimeout: 60_000 },
});
