import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'happy-dom',
    environmentOptions: { happyDOM: { url: 'http://localhost/dashboard' } },
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/parts.ts'],
    restoreMocks: true,
    // The clock in the tests is faked; only a busy machine makes them slow.
    testTimeout: 60_000,
  },
});
