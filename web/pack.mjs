// Builds dist/, what npm packs: ES modules, the same for require, and the scripts for a tag.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const dist = join(here, 'dist');
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));

rmSync(dist, { recursive: true, force: true });
for (const config of ['tsconfig.build.json', 'tsconfig.cjs.json']) {
  execFileSync(process.execPath, [join(typescript, 'bin/tsc'), '-p', join(here, config)], { stdio: 'inherit' });
}
// What is in there is not of the type that the package is.
writeFileSync(join(dist, 'cjs/package.json'), '{ "type": "commonjs" }\n');
cpSync(join(here, '../sessionhttp/static'), join(dist, 'script'), { recursive: true });
