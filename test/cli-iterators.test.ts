import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** `bpf-arena run` on iterator programs. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function run(...args: string[]) {
  const all = ['bin/bpf-arena.js', 'run', 'programs/contract/iterate_elements.bpf.o', ...args];
  const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, all, options);
  return { status, stdout, stderr };
}

describe('bpf-arena run on an iterator', () => {
  it('prints what it writes, after other programs have run', () => {
    assert.deepEqual(run('dump_table', '--map', 'table', '--after', 'fills'), {
      status: 0,
      stdout: 'map table\n1 2 3: 4\nend\n',
      stderr: '',
    });
  });

  it('gives it as a value with --json', () => {
    const { stdout } = run('dump_table', '--map', 'recent', '--json');
    const { program, output, globals } = JSON.parse(stdout);
    assert.deepEqual(
      { program, output, ends: globals.ends },
      { program: 'dump_table', output: 'end\n', ends: 1 },
    );
  });

  it('wants to know which map, where several would do', () => {
    const { status, stderr } = run('dump_table');
    assert.equal(status, 2);
    assert.match(stderr, /--map says of which map; table, recent, each_cpu would do/);
  });
});
