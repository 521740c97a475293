import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));

describe('the package, as one who installed it sees it', () => {
  it('has every file that its exports name (npm run build makes them)', () => {
    const files = Object.values<Record<string, string> | string>(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    for (const file of files)
      assert.ok(existsSync(`${ROOT}/${file}`), `${file} is missing; run npm run build`);
  });

  it('has its command lines, in the build, too', () => {
    for (const main of ['dist/cli/main.js', 'dist/apps/kv/main.js']) {
      const { status, stdout } = spawnSync(process.execPath, [`${ROOT}/${main}`, '--help'], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, `${main}; run npm run build`);
      assert.match(stdout, /Usage: (bpf-arena|arena-kv) /);
    }
    for (const door of Object.values<string>(manifest.bin)) assert.ok(existsSync(`${ROOT}/${door}`));
  });

  it('is imported by its name, and loads and runs an object', () => {
    const script = `
      import { open } from 'bpf-arena';
      using loaded = await (await open('programs/arena_list.bpf.o')).load();
      const { retval } = loaded.programs.arena_list_add.run();
      let sum = 0n;
      for (let n = loaded.globals.list_head.first; n !== null; n = n.next) sum += n.value;
      console.log(retval, sum);`;
    const args = ['--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    assert.equal(stderr, '');
    assert.equal(stdout, '0 499500n\n');
  });

  it('has types that hold by the strictest settings, and without the DOM', () => {
    const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
    try {
      mkdirSync(`${folder}/node_modules`);
      symlinkSync(ROOT, `${folder}/node_modules/bpf-arena`);
      const strictest = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
      const lib = { lib: ['es2024', 'esnext.disposable'], skipLibCheck: false, types: ['node'] };
      const typeRoots = [`${ROOT}/node_modules/@types`];
      const module = { typeRoots, target: 'es2024', module: 'nodenext', noEmit: true };
      const compilerOptions = { ...strictest, ...lib, ...module };
      writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions, files: ['user.mts'] }));
      writeFileSync(
        `${folder}/user.mts`,
        `import { type Kernel, embedded, open } from 'bpf-arena';
         import { linux } from 'bpf-arena/linux';
         interface Shape { globals: { cnt: number } }
         const object = await open<Shape>('my.bpf.o');
         object.globals.cnt = 5;
         // @ts-expect-error there is no such global
         object.globals.cntt = 5;
         const kernels: Kernel[] = [embedded({ cpus: 2 }), linux()];
         for (const kernel of kernels) (await object.load(kernel)).programs.f?.run().retval.toFixed();`,
      );
      const args = [`${ROOT}/node_modules/typescript/bin/tsc`, '-p', folder];
      const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.equal(stdout, '');
      assert.equal(status, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('has a browser entry that imports nothing of Node', () => {
    const seen = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, name] of readFileSync(file, 'utf8').matchAll(
        /^(?:import|export) (?:.* from )?'([^']+)';$/gm,
      )) {
        assert.ok(name.startsWith('.'), `${file} imports ${name}`);
        visit(fileURLToPath(new URL(name, `file://${file}`)));
      }
    };
    visit(`${ROOT}dist/browser.js`);
    assert.ok(seen.size > 20);
  });
});
