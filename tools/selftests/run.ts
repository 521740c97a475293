import { readFileSync } from 'node:fs';
import { openKernel } from '../../src/cli/kernel.ts';
import { runTest, type TestResult, type TestSetting, testsOf } from '../../src/cli/run-test.ts';
import { annotationsOf, OpenedObject, type ProgramSpec } from '../../src/index.ts';
import { isJudged } from '../../src/verifier/rules.ts';
import { argumentsOf } from '../arguments.ts';
import { type KernelName, type Verdict, verdictOf } from '../verdict.ts';
import { compile, missing, sourcesWith, unpack } from './sources.ts';

/**
 * `npm run selftests [-- PREFIX…]`: the kernel's own BPF selftests as referee. Each program goes to both kernels for a
 * verdict, alone and with the flags that its annotations name; each annotated test is run on both as `bpf-arena test` does.
 * Root on Linux.
 */

const USAGE = `usage: npm run selftests [-- [--all] [--list] PREFIX...]
  PREFIX  begins the name of the files to take, e.g. verifier_ arena_; a selection by default
  --all   takes every file
  --list  lists the programs that are unsupported, and the tests that fail here and not on Linux`;

const SELECTION = [
  ...['verifier_', 'arena_', 'iters', 'exceptions', 'dynptr_', 'test_kfunc_dynptr', 'irq', 'preempt_lock'],
  ...['bpf_loop', 'cb_refs', 'for_each', 'linked_list', 'rbtree', 'refcounted_kptr', 'timer', 'wq'],
  ...['rcu_read_lock', 'test_global_func', 'test_spin_lock', 'map_kptr', 'cpumask', 'uninit_stack'],
  ...['ringbuf', 'user_ringbuf', 'tailcall', 'test_subprogs', 'local_kptr', 'percpu_alloc', 'task_kfunc'],
  ...['cgrp_kfunc', 'nested_trust', 'map_ptr_kern', 'async_stack', 'test_map_in_map', 'strncmp'],
  ...[
    'bpf_iter_',
    'test_xdp',
    'xdp_',
    'test_tc',
    'test_skb',
    'test_sk_lookup',
    'test_lookup',
    'syscall',
    'crypto',
  ],
];

const { values, positionals } = argumentsOf(
  USAGE,
  { all: { type: 'boolean' }, list: { type: 'boolean' } },
  true,
);
const problem = missing();
if (problem !== undefined) {
  console.error(`selftests: ${problem}`);
  process.exit(2);
}
unpack();

/** What a pair of verdicts counts as. `other type`: of a program type that is not verified here. */
type Outcome = 'agree' | 'unsound' | 'lost' | 'unsupported' | 'other type' | 'not loadable';
type Row = Record<Outcome | 'tests' | 'ok here' | 'ok Linux', number>;

const newRow = (): Row => ({
  agree: 0,
  unsound: 0,
  lost: 0,
  unsupported: 0,
  'other type': 0,
  'not loadable': 0,
  tests: 0,
  'ok here': 0,
  'ok Linux': 0,
});

function outcomeOf(spec: ProgramSpec, linux: Verdict, here: Verdict): Outcome {
  if (!isJudged(spec)) return 'other type';
  if (linux.verdict === 'error' || linux.verdict === 'unsupported') return 'not loadable';
  // A policy of the machine, which says nothing of the program.
  if (linux.code === 'EPERM' && /says no more$/.test(linux.message ?? '')) return 'not loadable';
  if (here.verdict === 'unsupported' || here.verdict === 'error') return 'unsupported';
  if (here.verdict === linux.verdict) return 'agree';
  return here.verdict === 'accepted' ? 'unsound' : 'lost';
}

/** The sentence behind program, instruction and source line. */
function reasonOf(message: string): string {
  const at = message.lastIndexOf('): ');
  const sentence = /^program '/.test(message)
    ? message.slice(at >= 0 ? at + 3 : message.indexOf(': ') + 2)
    : message;
  return sentence.replace(/'[^']*'/g, '…').slice(0, 90);
}

const byFile: Record<string, Row> = {};
const totals = newRow();
const reasons = new Map<string, number>();
const uncompiled: string[] = [];
let same = 0;
let refused = 0;

async function testOn(
  kernel: KernelName,
  bytes: Uint8Array,
  file: string,
  name: string,
): Promise<TestResult> {
  const setting: TestSetting = {
    open: async () => new OpenedObject(bytes, file),
    kernel: (logLevel) => openKernel({ kernel, logLevel }),
  };
  return runTest(setting, file, name);
}

async function compareProgram(bytes: Uint8Array, file: string, name: string, row: Row): Promise<void> {
  const object = new OpenedObject(bytes, file);
  const flags = (object.btf && annotationsOf(object.btf, name)?.flags) ?? 0;
  const spec = object.programs[name];
  const linux = await verdictOf('linux', bytes, name, { flags });
  const here = await verdictOf('embedded', bytes, name, { flags });
  const outcome = outcomeOf(spec, linux, here);
  row[outcome]++;
  totals[outcome]++;
  if (outcome === 'unsound' || outcome === 'lost') {
    console.log(`\n${file} ${name}: Linux ${linux.verdict} ${linux.message ?? ''}`);
    console.log(`  here ${here.verdict} ${here.message ?? ''}`);
  }
  if (outcome === 'unsupported' || outcome === 'other type') {
    const why = outcome === 'unsupported' ? reasonOf(here.message ?? '') : `program type ${spec.type}`;
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
    if (values.list && outcome === 'unsupported') console.log(`unsupported: ${file} ${name}: ${why}`);
  }
  if (outcome === 'agree' && linux.verdict === 'rejected') {
    refused++;
    if (linux.message === here.message && linux.code === here.code) same++;
  }
}

async function compareTest(bytes: Uint8Array, file: string, name: string, row: Row): Promise<void> {
  const object = new OpenedObject(bytes, file);
  const found = object.btf && annotationsOf(object.btf, name);
  if (found?.expected === undefined || !isJudged(object.programs[name])) return;
  const linux = await testOn('linux', bytes, file, name);
  const here = await testOn('embedded', bytes, file, name);
  for (const each of [row, totals]) {
    each.tests++;
    if (here.ok) each['ok here']++;
    if (linux.ok) each['ok Linux']++;
  }
  if (values.list && linux.ok && !here.ok) console.log(`fails: ${file} ${name}: ${here.reason}`);
}

const sources = sourcesWith(values.all ? [] : positionals.length > 0 ? positionals : SELECTION);
for (const [index, name] of sources.entries()) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${index + 1} of ${sources.length}: ${name}`);
  const path = compile(name);
  if (path === undefined) {
    uncompiled.push(name);
    continue;
  }
  const bytes = readFileSync(path);
  const row = newRow();
  try {
    const object = new OpenedObject(bytes, name);
    for (const program of Object.keys(object.programs)) await compareProgram(bytes, name, program, row);
    for (const program of testsOf(object)) await compareTest(bytes, name, program, row);
  } catch (error) {
    console.log(`${name}: not opened: ${(error as Error).message}`);
    continue;
  }
  byFile[name] = row;
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
console.table(byFile);
console.log('unsupported here:');
console.table(Object.fromEntries([...reasons].sort((a, b) => b[1] - a[1])));
if (uncompiled.length > 0) console.log(`clang refuses: ${uncompiled.join(', ')}`);
const judged = totals.agree + totals.unsound + totals.lost;
const share = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(2)} %`;
console.log(`judged by both: ${judged}; verdicts agree: ${share(totals.agree, judged)}`);
console.log(`unsound: ${totals.unsound}; lost: ${totals.lost}; unsupported: ${totals.unsupported}`);
console.log(
  `of supported program types, unsupported counted as disagreement: ${share(totals.agree, judged + totals.unsupported)}`,
);
console.log(
  `of other program types: ${totals['other type']}; not loadable on this Linux: ${totals['not loadable']}`,
);
console.log(`refusals with the same message and errno: ${same} of ${refused}`);
console.log(
  `annotated tests of supported types: ${totals.tests}; as annotated here: ${totals['ok here']}, on Linux: ${totals['ok Linux']}`,
);
if (totals.unsound > 0) process.exitCode = 1;
