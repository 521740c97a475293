/**
 * The committed objects are what their sources give, in any folder; the native forms give the results table; the headers
 * serve every form and instruction set. All of it needs the compiler: without it, the tests are reported as skipped.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { clangVersion, compileNative, compileObject, inTemporaryFolder, PROGRAMS } from './build.ts';
import { NATIVE_RUNS, type NativeRun, PACKET_RUNS } from './results.ts';

const skip =
  clangVersion() === null ? 'not run: no clang-22 on PATH (Debian packages clang-22, llvm-22)' : false;

/** The `name=value` lines that an executable prints. */
function printed(executable: string, args: readonly string[]): Record<string, string> {
  const lines = execFileSync(executable, args, { encoding: 'utf8' }).trimEnd().split('\n');
  return Object.fromEntries(lines.map((line) => line.split('=')));
}

/**
 * Runs `work` with a copy of include/ and programs/ in a folder of another name. @param only names of the programs that are copied; by
 * default all.
 */
function withCopy(work: (root: string) => void, only?: readonly string[]): void {
  const filter = (path: string) => {
    const [, program] = /([^/]*)\.bpf\.[co]$/.exec(path) ?? [];
    return program === undefined || only === undefined || only.some((each) => program.startsWith(each));
  };
  inTemporaryFolder((root) => {
    for (const folder of ['include', 'programs']) {
      cpSync(join(dirname(PROGRAMS), folder), join(root, folder), { recursive: true, filter });
    }
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
    work(root);
  });
}

/** Runs the copy's build script, where the environment offers the compiler headers that must not be used. */
function build(root: string, args: readonly string[], env: Record<string, string> = {}) {
  writeFileSync(join(root, 'stddef.h'), '#error "found through CPATH"\n');
  return spawnSync(process.execPath, [join(root, 'programs/build.ts'), ...args], {
    cwd: '/',
    encoding: 'utf8',
    env: { ...process.env, CPATH: root, ...env },
  });
}

/** Where it makes no difference how many there are. */
const TWO = ['arena_list', 'arena_heap'];

test('every committed object is what its source gives, whatever the folder', { skip }, () => {
  withCopy((root) => {
    const { status, stderr } = build(root, ['--check']);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });
});

test('a changed, a missing and a stray object are each named', { skip }, () => {
  withCopy((root) => {
    const path = (object: string) => join(root, 'programs', object);
    appendFileSync(path('arena_list.bpf.o'), 'x');
    renameSync(path('arena_heap.bpf.o'), path('stray.bpf.o'));
    const { status, stderr } = build(root, ['--check']);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^programs\/arena_list\.bpf\.o: is not what its source gives \(.*first difference at \d+\)$/m,
    );
    assert.match(stderr, /^programs\/arena_heap\.bpf\.o: is missing$/m);
    assert.match(stderr, /^programs\/stray\.bpf\.o: has no source$/m);
    assert.equal(stderr.trimEnd().split('\n').length, 4);
  }, TWO);
});

test('a rebuild leaves objects that are right alone and mends the others', { skip }, () => {
  withCopy((root) => {
    const object = join(root, 'programs/arena_list.bpf.o');
    const committed = readFileSync(object);
    appendFileSync(object, 'x');
    const { stdout } = build(root, []);
    assert.deepEqual(readFileSync(object), committed);
    assert.equal(stdout.match(/^built /gm)?.length, 1);
  }, TWO);
});

test('without a compiler the build says what to install, in one line', () => {
  withCopy((root) => {
    const { status, stderr } = build(root, [], { CLANG: 'no-such-clang' });
    assert.equal(status, 1);
    assert.match(stderr, /^no-such-clang not found\. Install the Debian packages clang-22 and llvm-22.*\n$/);
  });
});

for (const [name, run] of Object.entries<NativeRun>({ ...NATIVE_RUNS, ...PACKET_RUNS })) {
  test(`${name} as native code gives the results table`, { skip }, () => {
    inTemporaryFolder((directory) => {
      const executable = join(directory, name);
      compileNative(`${name}.bpf.c`, executable);
      assert.deepEqual(printed(executable, run.args), run.prints);
    });
  });
}

test('threads that share one current page never see a freed fragment, and leave no page behind', {
  skip,
}, () => {
  inTemporaryFolder((directory) => {
    const executable = join(directory, 'arena_heap');
    compileNative('arena_heap.bpf.c', executable, ['-DARENA_FRAG_SLOTS=1']);
    const { threads_bad, pages_left } = printed(executable, ['0', '4']);
    assert.deepEqual({ threads_bad, pages_left }, { threads_bad: '0', pages_left: '0' });
  });
});

/** Programs whose results follow from the number of rounds: that number, or 0. */
for (const name of [
  'arena_locks',
  'arena_slab',
  'arena_ring',
  'arena_bitmap',
  'arena_shared',
  'arena_radix',
] as const) {
  test(`${name}: threads whose loop budgets end all the time lose nothing`, { skip }, () => {
    inTemporaryFolder((directory) => {
      const executable = join(directory, name);
      compileNative(`${name}.bpf.c`, executable);
      const results = printed(executable, ['400000']);
      // Sums, and what the sieve gives.
      const other = ['popped_sum', 'popped_squares', 'primes', 'largest'];
      for (const [what, value] of Object.entries(results))
        if (!other.includes(what)) assert.match(value, /^(0|400000)$/, what);
    });
  });
}

test('the headers do natively what they say', { skip }, () => {
  inTemporaryFolder((directory) => {
    const executable = join(directory, 'headers');
    compileNative('../include/headers.test.c', executable);
    assert.deepEqual(printed(executable, []), { headers: '0', pages_left: '0' });
  });
});

for (const cpu of ['v3', 'v4']) {
  for (const form of ['', '-DBPF_ARENA_FORCE_ASM']) {
    test(`the headers compile for ${cpu} ${form}`.trimEnd(), { skip }, () => {
      inTemporaryFolder((directory) => {
        const flags = [`-mcpu=${cpu}`, ...(form === '' ? [] : [form])];
        compileObject('../include/headers.test.c', join(directory, 'headers.o'), flags);
      });
    });
  }
}
