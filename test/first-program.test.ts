import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from '../src/index.ts';
import { compileBpf, noClang } from './clang.ts';

/** What docs/first-program.md shows is compiled and run as it stands there. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(`${ROOT}/docs/first-program.md`, 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text);

const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
after(() => rmSync(folder, { recursive: true }));

describe('docs/first-program.md', { skip: noClang }, () => {
  it('has programs that compile without a warning, and scripts that print what it says', async () => {
    const [list, table, test] = blocks('c');
    for (const [name, source] of Object.entries({ my: list + test, table })) {
      const flags = ['-I', `${ROOT}/include`, '-Wall', '-Werror'];
      writeFileSync(`${folder}/${name}.bpf.o`, compileBpf(source, flags));
    }
    mkdirSync(`${folder}/node_modules`);
    symlinkSync(ROOT, `${folder}/node_modules/bpf-arena`);
    const scripts = blocks('ts').map((script, index) => {
      writeFileSync(`${folder}/${index}.mts`, script);
      return `await import('./${index}.mts');`;
    });
    const args = ['--input-type=module', '-e', scripts.join('')];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    assert.equal(stderr, '');
    assert.match(stdout, /^16n\n9n\n4n\n1n\n0n\n30 .*\n1\n7 1\n$/s);
    using loaded = await (await open(`${folder}/my.bpf.o`)).load();
    assert.equal(loaded.programs.adds.run().retval, 3);
  });
});
