import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { OpenedObject } from '../src/index.ts';
import { type Verdict, verdictOf } from './verdict.ts';

/**
 * `npm run selftests [-- PATTERN…]`: the kernel's own BPF selftests as referee. Unpacks Debian's package of kernel sources
 * (linux-source-6.12, installed beforehand) to a folder for temporary files, compiles the programs with clang, and asks
 * both kernels for a verdict on each program alone. Root on Linux. Nothing of them is kept in this repository.
 */

const USAGE = `usage: npm run selftests [-- PATTERN...]
  PATTERN  begins the name of the files to take, e.g. verifier_ arena_`;

const ARCHIVE = '/usr/src/linux-source-6.12.tar.xz';
const WORK = join(tmpdir(), 'bpf-arena-selftests');
const ROOT = join(WORK, 'linux-source-6.12');
const SELFTESTS = join(ROOT, 'tools/testing/selftests/bpf');
const OBJECTS = join(WORK, 'objects');
const INCLUDE = join(WORK, 'include');

const PATTERNS = [
  'verifier_',
  'arena_',
  'iters',
  'exceptions',
  'dynptr_',
  'irq',
  'preempt_lock',
  'bpf_loop',
  'cb_refs',
  'for_each',
  'linked_list',
  'rbtree',
  'refcounted_kptr',
  'timer',
  'rcu_read_lock',
  'test_global_func',
  'test_spin_lock',
  'map_kptr',
  'cpumask',
  'uninit_stack',
  'ringbuf',
  'user_ringbuf',
  'tailcall',
];

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, maxBuffer: 2 ** 28, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function unpack(): void {
  if (existsSync(INCLUDE)) return;
  if (!existsSync(ARCHIVE)) {
    console.error('the kernel sources are missing: apt-get install linux-source-6.12');
    process.exit(2);
  }
  console.error('unpacking the kernel sources');
  mkdirSync(WORK, { recursive: true });
  const wanted = [
    'tools/testing/selftests/bpf',
    'tools/lib/bpf',
    'tools/include',
    'scripts/bpf_doc.py',
    'include/uapi/linux/bpf.h',
  ];
  run('tar', ['xf', ARCHIVE, ...wanted.map((path) => `linux-source-6.12/${path}`)], WORK);
  const bpf = join(INCLUDE, 'bpf');
  mkdirSync(bpf, { recursive: true });
  for (const name of readdirSync(join(ROOT, 'tools/lib/bpf')).filter((each) => each.endsWith('.h')))
    cpSync(join(ROOT, 'tools/lib/bpf', name), join(bpf, name));
  const helpers = run('python3', [
    join(ROOT, 'scripts/bpf_doc.py'),
    '--header',
    '--file',
    join(ROOT, 'include/uapi/linux/bpf.h'),
  ]);
  writeFileSync(join(bpf, 'bpf_helper_defs.h'), helpers);
  const cli = new URL('../bin/bpf-arena.js', import.meta.url).pathname;
  const types = run(process.execPath, [cli, 'btf', '/sys/kernel/btf/vmlinux']);
  writeFileSync(join(INCLUDE, 'vmlinux.h'), types);
  mkdirSync(OBJECTS, { recursive: true });
}

/** @returns the object's path, or undefined where clang refuses the source. */
function compile(source: string): string | undefined {
  const object = join(OBJECTS, `${basename(source, '.c')}.o`);
  if (existsSync(object)) return object;
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v4', '-DBPF_NO_KFUNC_PROTOTYPES', '-Wno-everything'];
  const include = [
    '-I',
    INCLUDE,
    '-I',
    join(INCLUDE, 'bpf'),
    '-I',
    SELFTESTS,
    '-I',
    join(SELFTESTS, 'progs'),
  ];
  const system = ['-idirafter', '/usr/include/x86_64-linux-gnu', '-D__TARGET_ARCH_x86'];
  const { status } = spawnSync('clang-22', [...flags, ...include, ...system, '-c', source, '-o', object]);
  return status === 0 ? object : undefined;
}

unpack();
const prefixes = positionals.length > 0 ? positionals : PATTERNS;
const sources = readdirSync(join(SELFTESTS, 'progs'))
  .filter((name) => name.endsWith('.c') && prefixes.some((prefix) => name.startsWith(prefix)))
  .sort();

/** What a pair of verdicts counts as. */
type Outcome = 'agree' | 'unsound' | 'lost' | 'unsupported' | 'not loadable';

function outcomeOf(linux: Verdict, here: Verdict): Outcome {
  if (linux.verdict === 'error' || linux.verdict === 'unsupported') return 'not loadable';
  if (here.verdict === 'unsupported' || here.verdict === 'error') return 'unsupported';
  if (here.verdict === linux.verdict) return 'agree';
  return here.verdict === 'accepted' ? 'unsound' : 'lost';
}

const byFile: Record<string, Record<Outcome, number>> = {};
const totals: Record<Outcome, number> = { agree: 0, unsound: 0, lost: 0, unsupported: 0, 'not loadable': 0 };
const reasons = new Map<string, number>();
const uncompiled: string[] = [];
let same = 0;
let refused = 0;
for (const [index, name] of sources.entries()) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${index + 1} of ${sources.length}: ${name}`);
  const path = compile(join(SELFTESTS, 'progs', name));
  if (path === undefined) {
    uncompiled.push(name);
    continue;
  }
  const bytes = readFileSync(path);
  const row = { agree: 0, unsound: 0, lost: 0, unsupported: 0, 'not loadable': 0 };
  byFile[name] = row;
  for (const program of Object.keys(new OpenedObject(bytes, name).programs)) {
    const linux = await verdictOf('linux', bytes, program);
    const here = await verdictOf('embedded', bytes, program);
    const outcome = outcomeOf(linux, here);
    row[outcome]++;
    totals[outcome]++;
    if (outcome === 'unsound' || outcome === 'lost') {
      console.log(`\n${name} ${program}: Linux ${linux.verdict} ${linux.message ?? ''}`);
      console.log(`  here ${here.verdict} ${here.message ?? ''}`);
    }
    if (outcome === 'unsupported') {
      const why = (here.message ?? '')
        .replace(/^program '[^']*'[^:]*(\([^)]*\))?: /, '')
        .replace(/'[^']*'/g, '…');
      reasons.set(why.slice(0, 90), (reasons.get(why.slice(0, 90)) ?? 0) + 1);
    }
    if (outcome === 'agree' && linux.verdict === 'rejected') {
      refused++;
      if (linux.message === here.message && linux.code === here.code) same++;
    }
  }
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
console.table(byFile);
console.log('unsupported here:');
console.table(Object.fromEntries([...reasons].sort((a, b) => b[1] - a[1])));
if (uncompiled.length > 0) console.log(`clang refuses: ${uncompiled.join(', ')}`);
const judged = totals.agree + totals.unsound + totals.lost;
const share = ((100 * totals.agree) / Math.max(1, judged)).toFixed(2);
console.log(
  `judged by both: ${judged}; verdicts agree: ${share} %; unsound: ${totals.unsound}; lost: ${totals.lost}`,
);
console.log(`refusals with the same message and errno: ${same} of ${refused}`);
console.log(`unsupported here: ${totals.unsupported}; not loadable on this Linux: ${totals['not loadable']}`);
if (totals.unsound > 0) process.exitCode = 1;
