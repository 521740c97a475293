import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NATIVE_RUNS, type NativeRun } from '../../programs/results.ts';
import { type LoadedObject, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/**
 * The programs of programs/ give on each kernel what their native builds give, both as the compiler's casts and
 * as inline assembly. Each script does what the C file's main() does, and names its results as that prints them.
 */

type Results = Record<string, string>;
type Script = (loaded: LoadedObject, results: Results, names: readonly string[]) => void;

/** Runs programs in their order; a program's name stands for its return value. */
function run(loaded: LoadedObject, name: string, results: Results, as = name): void {
  results[as] = String(loaded.programs[name].run().retval | 0);
}

/** Takes globals over into the results. */
function read({ globals }: LoadedObject, results: Results, ...names: string[]): void {
  for (const name of names) results[name] = String(globals[name]);
}

interface Node {
  next: Node | null;
  value: bigint;
  weight: bigint;
}

/** The nodes of a list, first to last. */
function chain(first: Node | null): Node[] {
  const nodes: Node[] = [];
  for (let node = first; node !== null; node = node.next) nodes.push(node);
  return nodes;
}

const sum = (values: bigint[]) => values.reduce((all, each) => all + each, 0n);

const list: Script = (loaded, results) => {
  run(loaded, 'arena_list_add', results);
  read(loaded, results, 'list_sum', 'list_cnt');
  results.user_sum = String(sum(chain(loaded.globals.list_head.first).map(({ value }) => value)));
  run(loaded, 'arena_list_sum', results);
  read(loaded, results, 'walk_sum', 'walk_cnt');
  run(loaded, 'arena_list_del', results);
  read(loaded, results, 'del_sum', 'del_cnt');
  results.left_sum = String(loaded.globals.list_sum);
  results.left_cnt = String(loaded.globals.list_cnt);
};

function walkTable({ globals: { htab } }: LoadedObject, when: string, results: Results): void {
  const values = [...htab.buckets].flatMap(({ first }: { first: Node | null }) => chain(first));
  results[`${when}_count`] = String(htab.count);
  results[`${when}_elements`] = String(values.length);
  results[`${when}_sum`] = String(sum(values.map(({ value }) => BigInt(value))));
}

const table: Script = (loaded, results) => {
  const steps = [
    ['arena_htab_insert', 'insert', 'inserted'],
    ['arena_htab_overwrite', 'overwrite', 'overwritten'],
    ['arena_htab_lookup', undefined, 'found', 'missing', 'value_sum'],
    ['arena_htab_delete', 'delete', 'deleted'],
  ] as const;
  for (const [program, when, ...names] of steps) {
    run(loaded, program, results);
    read(loaded, results, ...names);
    if (when !== undefined) walkTable(loaded, when, results);
  }
};

const globals: Script = (loaded, results) => {
  run(loaded, 'arena_globals_check', results);
  read(loaded, results, 'checked', 'wrong');
  run(loaded, 'arena_globals_change', results);
  read(loaded, results, 'data_u64', 'bss_u64');
  results.chain_weight = String(sum(chain(loaded.globals.chain).map(({ weight }) => BigInt(weight))));
  run(loaded, 'arena_globals_check', results, 'changed_check');
  results.changed_wrong = String(loaded.globals.wrong);
};

/** struct churn, as heap_churn and heap_frag_churn take it as their context. */
const CHURN = {
  rounds: 8,
  max_size: 12,
  allocs: 16,
  frees: 20,
  failed: 24,
  bad: 28,
  checksum: 32,
  size: 40,
} as const;

function churn(loaded: LoadedObject, name: string, rounds: number, maxSize: number, results: Results): void {
  const ctx = new DataView(new ArrayBuffer(CHURN.size));
  ctx.setBigUint64(0, 42n, true);
  ctx.setUint32(CHURN.rounds, rounds, true);
  ctx.setUint32(CHURN.max_size, maxSize, true);
  const { retval, ctxOut } = loaded.programs[name].run({ ctx: new Uint8Array(ctx.buffer) });
  const out = new DataView((ctxOut as Uint8Array).buffer);
  results[name] = String(retval | 0);
  for (const field of ['allocs', 'frees', 'failed', 'bad'] as const)
    results[`${name}_${field}`] = String(out.getUint32(CHURN[field], true));
  results[`${name}_checksum`] = String(out.getBigUint64(CHURN.checksum, true));
}

const heap: Script = (loaded, results) => {
  // Linux does not tell: nothing is compared then.
  const present = () => loaded.arena?.statistics.present ?? 0;
  const before = present();
  run(loaded, 'heap_fill', results);
  read(loaded, results, 'pages_filled', 'words_filled');
  run(loaded, 'heap_check', results);
  read(loaded, results, 'pages_checked', 'words_checked', 'words_bad');
  run(loaded, 'heap_free', results);
  read(loaded, results, 'pages_freed');
  churn(loaded, 'heap_churn', 10_000, 16, results);
  churn(loaded, 'heap_frag_churn', 50_000, 500, results);
  run(loaded, 'heap_frag_drain', results);
  run(loaded, 'heap_reserve', results);
  results.pages_left = String(present() - before);
};

/** What needs no more than that: programs and globals in the order of the results. */
const inOrder: Script = (loaded, results, names) => {
  for (const name of names) {
    if (loaded.programs[name] !== undefined) run(loaded, name, results);
    else if (name === 'pages_left')
      results[name] = '0'; // Natively only.
    else read(loaded, results, name);
  }
};

/** For each program its script, and the global that takes the first argument of main(). */
const SCRIPTS: Readonly<Record<keyof typeof NATIVE_RUNS, readonly [Script, argument: string | undefined]>> = {
  arena_list: [list, 'cnt'],
  arena_htab: [table, 'cnt'],
  arena_globals: [globals, undefined],
  arena_heap: [heap, 'fill_pages'],
  arena_locks: [inOrder, 'rounds'],
  arena_slab: [inOrder, 'rounds'],
  arena_ring: [inOrder, 'rounds'],
  arena_bitmap: [inOrder, 'rounds'],
  arena_shared: [inOrder, 'rounds'],
  arena_radix: [inOrder, 'rounds'],
};

for (const form of ['', '_asm']) {
  onBothKernels(form === '' ? 'casts of the compiler' : 'casts in inline assembly', (kernel) => {
    for (const [name, { args, prints }] of Object.entries<NativeRun>(NATIVE_RUNS)) {
      it(`${name} gives what its native form gives`, async () => {
        const object = await open(new URL(`../../programs/${name}${form}.bpf.o`, import.meta.url));
        const [script, argument] = SCRIPTS[name as keyof typeof NATIVE_RUNS];
        if (argument !== undefined) {
          const { globals: initial } = object;
          initial[argument] = typeof initial[argument] === 'bigint' ? BigInt(args[0]) : Number(args[0]);
        }
        using opened = kernel.open();
        using loaded = await object.load(opened);
        const results: Results = {};
        script(loaded, results, Object.keys(prints));
        assert.deepEqual(results, prints);
      });
    }
  });
}
