import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
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
