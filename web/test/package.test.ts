// @vitest-environment node
// What npm packs, installed from the tarball into fresh projects.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Window } from 'happy-dom';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const PACKAGE = join(import.meta.dirname, '..');
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vedfolnir-package-'));
  npm(PACKAGE, 'pack', '--pack-destination', folder);
  const manifest = { name: 'app', private: true, version: '1.0.0' };
  write('package.json', JSON.stringify(manifest));
  npm(folder, 'install', '--offline', '--no-audit', '--no-fund', join(folder, `vedfolnir-session-sync-${version}.tgz`));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function npm(cwd: string, ...args: string[]): void {
  execFileSync('npm', [...args, '--loglevel=error'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
}

function write(path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const APP = `
import { isSessionRefused, type SessionState, SessionSync } from '@vedfolnir/session-sync';
const sync = new SessionSync();
const stop: () => void = sync.init();
window.addEventListener('platformSwitched', ({ detail }) => {
  const name: string = detail.platformName;
  console.log(name);
});
window.addEventListener('sessionExpired', (event) => console.log(event.detail.reason.length));
// @ts-expect-error the event has no such detail
window.addEventListener('sessionSyncStatus', ({ detail }) => detail.nothing);
export const state: Promise<SessionState | null> = sync.syncSessionState();
// @ts-expect-error there is nothing to give it
sync.syncSessionState(1, 2);
sync.switchPlatform(2).catch((error: unknown) => isSessionRefused(error) && console.log(error.status));
stop();
`;

interface Project {
  type: 'module' | 'commonjs';
  options: object;
  source?: string;
}

/** Type-checks a fresh project that is as strict as can be. */
function check(name: string, { type, options, source = APP }: Project): void {
  write(`${name}/package.json`, JSON.stringify({ type }));
  write(`${name}/app.ts`, source);
  const compilerOptions = {
    strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'dom'], types: [], skipLibCheck: false,
    exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, ...options,
  };
  write(`${name}/tsconfig.json`, JSON.stringify({ compilerOptions, files: ['app.ts'] }));
  try {
    execFileSync(process.execPath, [TSC, '-p', join(folder, name)], { stdio: 'pipe' });
  } catch (error) {
    throw new Error(String((error as { stdout: Buffer }).stdout));
  }
}

describe('the package type-checks', () => {
  test.for<[string, Project]>([
    ['for bundlers', { type: 'module', options: { module: 'esnext', moduleResolution: 'bundler' } }],
    ['in Node’s ES modules', { type: 'module', options: { module: 'node16', moduleResolution: 'node16' } }],
    ['in CommonJS', { type: 'commonjs', options: { module: 'node16', moduleResolution: 'node16' } }],
    [
      'by a script tag',
      {
        type: 'module',
        options: { module: 'esnext', moduleResolution: 'bundler', types: ['@vedfolnir/session-sync/script'] },
        source: `
          const sync = new SessionSync();
          sync.init();
          const id: string | undefined = window.sessionSync?.getTabId();
          // @ts-expect-error
          sync.nothing();
          window.addEventListener('sessionExpiring', ({ detail }) => detail.secondsLeft.toFixed());
          export { id };`,
      },
    ],
  ])('%s', ([name, project]) => check(name.replace(/\W/g, ''), project));
});

describe('the package runs', () => {
  const PRINTS = 'console.log(typeof SessionSync, typeof window, isSessionExpired(1));';
  const run = (file: string) => execFileSync(process.execPath, [file], { encoding: 'utf8' }).trim();

  test('as an ES module, without a window', () => {
    const file = write('esm/run.mjs', `import { isSessionExpired, SessionSync } from '@vedfolnir/session-sync'; ${PRINTS}`);
    expect(run(file)).toBe('function undefined false');
  });

  test('by require, without a window', () => {
    const file = write('cjs/run.cjs', `const { isSessionExpired, SessionSync } = require('@vedfolnir/session-sync'); ${PRINTS}`);
    expect(run(file)).toBe('function undefined false');
  });

  test.for([
    ['require', `const { isSessionExpired, SessionSync } = require('@vedfolnir/session-sync'); ${PRINTS}`, 'cjs'],
    ['import', `import { isSessionExpired, SessionSync } from '@vedfolnir/session-sync'; ${PRINTS}`, 'mjs'],
  ])('bundled, by %s', async ([how, source, ext]) => {
    const input = write(`bundle-${how}/entry.${ext}`, source!);
    const bundle = await rolldown({ input, platform: 'browser', onwarn: (warning) => expect.fail(warning.message) });
    const { output } = await bundle.write({ dir: join(folder, `bundle-${how}/out`), entryFileNames: 'out.mjs' });
    await bundle.close();
    expect(output.length).toBeGreaterThan(0);
    expect(readFileSync(join(folder, `bundle-${how}/out/out.mjs`), 'utf8')).not.toMatch(/from ['"]@vedfolnir/);
    expect(run(join(folder, `bundle-${how}/out/out.mjs`))).toBe('function undefined false');
  });

  test('by a script tag', () => {
    const window = new Window({ url: 'http://localhost/' });
    const script = readFileSync(join(folder, 'node_modules/@vedfolnir/session-sync/dist/script/session-sync.js'), 'utf8');
    new Function('window', 'document', 'globalThis', script)(window, window.document, window);
    expect(window).toHaveProperty('SessionSync');
    expect(window).not.toHaveProperty('sessionSync');
  });
});

test('the package needs no other, and holds nothing but what it says', () => {
  const installed = join(folder, 'node_modules/@vedfolnir/session-sync');
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  expect(manifest.dependencies).toBeUndefined();
  expect(JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages).toSatisfy(
    (packages: object) => Object.keys(packages).length === 2,
  );
  expect(() => readFileSync(join(installed, 'src/index.ts'))).toThrow();
});
