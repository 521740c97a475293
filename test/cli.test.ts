import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { embeddedFeatures } from '../src/index.ts';
import { assembleObject } from '../src/object/write.ts';
import { compileBpf, noClang } from './clang.ts';
import { onLinux } from './contract/kernels.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(`${tmpdir()}/bpf-arena-`);
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function cli(...args: string[]): Outcome {
  const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } } as const;
  return spawnSync(process.execPath, ['bin/bpf-arena.js', ...args], options);
}

const LIST = 'programs/arena_list.bpf.o';

/** A program that jumps to another, which an array of programs holds from the start. */
const TAIL_CALLS = `
#define SEC(name) __attribute__((section(name), used))
static long (*const tail_call)(void *ctx, void *map, unsigned int index) = (void *)12;
int leaf(void *ctx);
struct {
  int (*type)[3];
  int (*max_entries)[2];
  int (*key_size)[4];
  int (*values[])(void *);
} calls SEC(".maps") = { .values = { [1] = (void *)&leaf } };
SEC("tc") int leaf(void *ctx) { return 42; }
SEC("tc") int entry(void *ctx) { tail_call(ctx, &calls, 1); return 7; }
char _license[] SEC("license") = "GPL";
`;

describe('bpf-arena run', () => {
  it('runs a program and prints one JSON value', () => {
    const { status, stdout, stderr } = cli('run', LIST, 'arena_list_add', '--set', 'cnt=1000', '--json');
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const { program, retval, durationNs, globals, faults } = JSON.parse(stdout);
    assert.deepEqual({ program, retval, faults }, { program: 'arena_list_add', retval: 0, faults: [] });
    assert.ok(durationNs > 0);
    assert.equal(globals.list_sum, 499_500);
    assert.equal(globals.cnt, 1000);
    assert.match(globals.list_head, /^0x[0-9a-f]+$/);
  });

  it('prints all digits of 64-bit integers', () => {
    const { stdout } = cli('run', 'programs/arena_globals.bpf.o', 'arena_globals_check', '--json');
    assert.match(stdout, /"arena_u64":81985529216486895\b/);
  });

  it('sets parts of structs and arrays, texts and negative numbers', () => {
    const set = [
      'data_struct.y=-7',
      'rodata_array[2]=31',
      'data_text=other',
      'rodata_s64=-9',
      'data_u64=0xffffffffffffffff',
    ];
    const args = set.flatMap((each) => ['--set', each]);
    const { stdout, stderr } = cli(
      'run',
      'programs/arena_globals.bpf.o',
      'arena_globals_check',
      '--json',
      ...args,
    );
    assert.equal(stderr, '');
    const { globals } = JSON.parse(stdout);
    assert.deepEqual(globals.data_struct, { x: -1, y: -7, tag: 3 });
    assert.deepEqual(globals.rodata_array, [10, 20, 31, 40]);
    assert.equal(globals.data_text, 'other');
    assert.equal(globals.rodata_s64, -9);
    assert.match(stdout, /"data_u64":18446744073709551615\b/);
  });

  it('sets a whole array, and names what an XDP program answers', () => {
    writeFileSync(
      `${folder}/xdp.bpfasm`,
      '.license "GPL"\n.section xdp\n.func f : s32 (void *ctx)\nr0 = 2\nexit\n',
    );
    cli('asm', `${folder}/xdp.bpfasm`, '-o', `${folder}/xdp.o`);
    const packet = `hex:${'00'.repeat(64)}`;
    assert.match(cli('run', `${folder}/xdp.o`, '--data', packet).stdout, /^f: retval 2 \(XDP_PASS\) in /);
    const array = ['--set', 'rodata_array=1,2,0x3,40'];
    const { stdout } = cli('run', 'programs/arena_globals.bpf.o', 'arena_globals_check', '--json', ...array);
    assert.deepEqual(JSON.parse(stdout).globals.rodata_array, [1, 2, 3, 40]);
  });

  it('says below a refusal what it means, and what to do', () => {
    writeFileSync(
      `${folder}/refused.bpfasm`,
      '.license "GPL"\n.section syscall\n.func f : s32 (void *ctx)\nr0 = *(u32 *)(r0 + 0)\nexit\n',
    );
    cli('asm', `${folder}/refused.bpfasm`, '-o', `${folder}/refused.o`);
    const { status, stderr } = cli('run', `${folder}/refused.o`);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^bpf-arena: program 'f', instruction 0.*: R0 !read_ok \[EACCES\]\n( {4}\S.*\.\n){2,3}$/,
    );
  });

  it('copies the context in and out', () => {
    const text = `.license "GPL"\n.section syscall\n.func f : s32 (void *ctx)\n*(u32 *)(r1 + 4) = 5\nr0 = *(u32 *)(r1 + 0)\nexit\n`;
    writeFileSync(`${folder}/ctx.bpfasm`, text);
    assert.equal(cli('asm', `${folder}/ctx.bpfasm`, '-o', `${folder}/ctx.o`).status, 0);
    const { stdout } = cli('run', `${folder}/ctx.o`, '--ctx', 'hex:2a000000ffffffff', '--json');
    const { retval, ctxOut } = JSON.parse(stdout);
    assert.deepEqual({ retval, ctxOut }, { retval: 42, ctxOut: 'hex:2a00000005000000' });
  });

  it('says how much context a program reads, where it got less: one line, exit status 1', () => {
    const text = `.license "GPL"\n.section syscall\n.func f : s32 (void *ctx)\nr2 = *(u64 *)(r1 + 0)\nr0 = 0\nexit\n`;
    writeFileSync(`${folder}/bad.bpfasm`, text);
    cli('asm', `${folder}/bad.bpfasm`, '-o', `${folder}/bad.o`);
    const { status, stdout, stderr } = cli('run', `${folder}/bad.o`);
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
    assert.match(
      stderr,
      /^bpf-arena: program 'f': it reads or writes 8 bytes of context, and got 0; give more by ctx \(--ctx\) \[EINVAL\]\n$/,
    );
  });

  it('loads what arrays of programs hold besides the program that is run', { skip: noClang }, () => {
    const object = `${folder}/calls.bpf.o`;
    writeFileSync(object, compileBpf(TAIL_CALLS));
    const { status, stdout, stderr } = cli(
      'run',
      object,
      'entry',
      '--data',
      `hex:${'00'.repeat(64)}`,
      '--json',
    );
    assert.equal(stderr, '');
    assert.deepEqual([status, JSON.parse(stdout).retval], [0, 42]);
    assert.match(cli('disasm', object, 'entry', '--as', 'xlated').stdout, /exit/);
  });

  it('stops a runaway program', () => {
    writeFileSync(
      `${folder}/loop.bpfasm`,
      '.license "GPL"\n.section syscall\n.func f : s32 (void *ctx)\nr0 = 0\nx: may_goto out\ngoto x\nout: exit\n',
    );
    cli('asm', `${folder}/loop.bpfasm`, '-o', `${folder}/loop.o`);
    const { status, stderr } = cli('run', `${folder}/loop.o`, '--max-insns', '1000');
    assert.equal(status, 1);
    assert.match(stderr, /f was stopped after 1000 instructions/);
  });
});

onLinux('bpf-arena run --kernel linux', () => {
  it('gives what the embedded kernel gives', () => {
    const results = ['embedded', 'linux'].map((kernel) => {
      const args = [
        'run',
        LIST,
        'arena_list_add',
        '--set',
        'cnt=100000',
        '--json',
        '--cpu',
        '0',
        '--kernel',
        kernel,
      ];
      const { status, stdout, stderr } = cli(...args);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      // Where the arena lies is the kernel's to say.
      const { durationNs, ...result } = JSON.parse(stdout.replaceAll(/"0x[0-9a-f]+"/g, '"address"'));
      return result;
    });
    assert.deepEqual(results[1], results[0]);
    assert.equal(results[1].globals.list_sum, 4_999_950_000);
  });

  it('test passes what annotated programs say of themselves', () => {
    const results = ['embedded', 'linux'].map((kernel) => {
      const { stdout, status } = cli('test', 'programs/arena_tests.bpf.o', '--kernel', kernel, '--json');
      assert.equal(status, 0);
      return JSON.parse(stdout);
    });
    assert.deepEqual(results[0], results[1]);
    assert.equal(results[0].filter(({ ok }: { ok: boolean }) => ok).length, 9);
  });

  it('verify and test say what Linux says', () => {
    const { stdout, status } = cli('verify', LIST, '--kernel', 'linux', '--json');
    const verdicts = JSON.parse(stdout).map(({ verdict }: { verdict: string }) => verdict);
    assert.deepEqual([status, verdicts], [0, ['accepted', 'accepted', 'accepted']]);
    const tests = JSON.parse(cli('test', LIST, '--kernel', 'linux', '--json').stdout);
    assert.ok(tests.every(({ ok }: { ok: boolean }) => ok));
  });
});

it('every annotation kind is tested by the programs that carry it', () => {
  const { stdout, status } = cli('test', 'programs/arena_tests.bpf.o', 'programs/arena_tests_asm.bpf.o');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /18 passed, 0 failed, 2 unsupported/);
  assert.match(stdout, /privileged: accepted \(not covered: failure_unpriv\)/);
  assert.match(stdout, /elsewhere: unsupported \(it is for ARM64\)/);
});

describe('wrong usage and unreadable input end with one line and exit status 2', () => {
  writeFileSync(`${folder}/text.o`, 'not an object');
  writeFileSync(`${folder}/empty.o`, '');
  writeFileSync(`${folder}/none.o`, assembleObject('.func f\nr0 = 0\nexit'));
  const cases: [string[], RegExp][] = [
    [['run', 'nowhere.o'], /cannot read 'nowhere.o': there is no such file/],
    [['run', `${folder}/text.o`], /not an ELF file/],
    [['run', `${folder}/empty.o`], /ELF/],
    [['run', folder], /it is a folder/],
    [['run', LIST], /say which program: arena_list has arena_list_add, /],
    [['run', LIST, 'nope'], /there is no program 'nope'/],
    [['verify', `${folder}/none.o`], /none has no programs: a program is a function with a section/],
    [['test', `${folder}/none.o`], /none has no programs/],
    [['run', LIST, 'arena_list_add', '--set', 'list=1'], /it is a struct: .*, list\.first=…/],
    [['run', LIST, 'arena_list_add', '--set', 'cnt'], /--set takes GLOBAL=VALUE/],
    [['run', LIST, 'arena_list_add', '--set', 'cnt=x'], /--set cnt=x: 'x' is not a whole number/],
    [['run', LIST, 'arena_list_add', '--set', 'cnt='], /'' is not a whole number/],
    [['run', LIST, 'arena_list_add', '--set', 'list.__proto__=1'], /no '__proto__'; known are first, last/],
    [['run', LIST, 'arena_list_add', '--set', 'frags.slot[64]=1'], /no '64'; elements are 0 to 63/],
    [['run', LIST, 'arena_list_add', '--cpu', ''], /--cpu/],
    [['run', LIST, 'arena_list_add', '--ctx', 'nowhere'], /cannot read 'nowhere': there is no such file/],
    [['run', LIST, 'arena_list_add', '--set', 'cnt=99999999999'], /cnt/],
    [['run', LIST, 'arena_list_add', '--set', 'nope=1'], /there is no 'nope'; known are cnt, /],
    [['run', LIST, 'arena_list_add', '--ctx', 'hex:0g'], /hexadecimal/],
    [['run', LIST, 'arena_list_add', '--repeat', '0'], /--repeat/],
    [['run', LIST, 'arena_list_add', '--kernel', 'plan9'], /embedded, linux/],
    [['disasm', LIST, 'nope'], /there is no function 'nope'/],
    [['btf', `${folder}/text.o`], /./],
    [['btf', folder], /it is a folder/],
    [['frob'], /unknown command 'frob'/],
    [['run', LIST, '--frob'], /unknown option '--frob'/],
  ];
  for (const [args, message] of cases) {
    it(args.join(' ').replaceAll(folder, ''), () => {
      const { status, stdout, stderr } = cli(...args);
      assert.equal(status, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
    });
  }
});

describe('bpf-arena', () => {
  it('says in one line that the disk is full: exit status 1', { skip: !existsSync('/dev/full') }, () => {
    const stdout = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, ['bin/bpf-arena.js', 'features'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', stdout, 'pipe'],
    });
    closeSync(stdout);
    assert.equal(status, 1);
    assert.match(stderr, /^bpf-arena: ENOSPC.*\n$/);
  });

  for (const command of ['run', 'disasm', 'btf', 'asm', 'features', 'demo']) {
    it(`${command} --help says how it is used`, () => {
      const { status, stdout } = cli(command, '--help');
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`Usage: bpf-arena ${command}`));
    });
  }

  it('features lists what the embedded kernel has', () => {
    const found = JSON.parse(cli('features', '--json').stdout);
    assert.deepEqual(found, embeddedFeatures());
    for (const kfunc of ['bpf_arena_alloc_pages', 'bpf_arena_free_pages', 'bpf_arena_reserve_pages'])
      assert.ok(found.kfuncs.includes(kfunc), kfunc);
    const helpers = new Set(found.helpers.map(({ id }: { id: number }) => id));
    for (const id of [1, 2, 3, 5, 6, 7, 8, 14, 181]) assert.ok(helpers.has(id), `helper ${id}`);
  });

  it('btf prints types as C, TypeScript and JSON', () => {
    assert.match(cli('btf', LIST).stdout, /struct node \{/);
    assert.match(cli('btf', LIST, '--as', 'ts').stdout, /export interface node \{\n {2}next: node \| null;/);
    assert.ok(JSON.parse(cli('btf', LIST, '--as', 'json').stdout));
  });

  it('demo shows equal sums, 1,000 values, and the page map', () => {
    const { status, stdout } = cli('demo');
    assert.equal(status, 0);
    const [program, walk] = [...stdout.matchAll(/sum computed by .*? {2,}(\d+)/g)].map(([, sum]) => sum);
    assert.equal(program, '4999950000');
    assert.equal(walk, program);
    const values = [...stdout.matchAll(/^ +(\d+) {2}((?: *\d+)+)$/gm)].flatMap(([, , row]) =>
      row.trim().split(/ +/),
    );
    assert.equal(values.length, 1000);
    assert.match(stdout, /page map: \d+ of 8192 pages present/);
    assert.match(stdout, /█/);
  });
});
