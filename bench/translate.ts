import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type CompilationInput, targetOf } from '../src/embedded/compiled.ts';
import { EmbeddedKernel } from '../src/embedded/kernel.ts';
import { RUNNABLE_PROGRAM_TYPES } from '../src/embedded/runnable.ts';
import { ModuleBuilder } from '../src/jit/encode/module.ts';
import { translate } from '../src/jit/index.ts';
import { Liveness } from '../src/jit/liveness.ts';
import { planFunctions } from '../src/jit/plan.ts';
import { reducible } from '../src/jit/reducible.ts';
import { structure } from '../src/jit/structure.ts';
import { unitOf } from '../src/jit/unit.ts';
import { parseObject } from '../src/object/object.ts';
import { assembleObject } from '../src/object/write.ts';
import { summarize } from './programs/statistics.ts';
import { table } from './programs/table.ts';

/**
 * What it takes to make WebAssembly of a program: our own translation of programs of 50,000 instructions in a few shapes,
 * per BPF instruction and by its parts; what V8 takes to compile what comes out; and for the objects of programs/ the time
 * from the parsed object to the end of a first run. Each part is measured on its own, so they need not add up: the emission
 * is what is left of the whole.
 */

const { values } = parseArgs({
  options: {
    insns: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '11' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log('usage: node bench/translate.ts [--insns N] [--rounds N] [--only SHAPE]');
  process.exit();
}
const INSNS = Number(values.insns);
const ROUNDS = Number(values.rounds);

/** What a program is made of: `body` again and again, N counting; M chooses one of the {@link FUNCTIONS}. */
interface Shape {
  readonly first: string;
  readonly body: string;
  readonly functions?: string;
  /** How often; else until the program has its size. */
  readonly count?: number;
}

const FUNCTIONS = 100;
const SHAPES: Readonly<Record<string, Shape>> = {
  alu: {
    first: 'call 7; r6 = r0; r7 = r0; r8 = 3',
    body: 'r6 += r7; r7 ^= r6; w8 *= 5; r6 >>= 3; r7 |= 1; w6 -= w8; r8 <<= 2; r7 = r6',
  },
  arena: {
    first: 'call 7; r6 = r0; r1 = arena ll',
    body: `r7 = addr_space_cast(r6, 0, 1); r1 = *(u64 *)(r7 + 0); r2 = *(u32 *)(r7 + 8); r1 += r2;
      *(u64 *)(r7 + 16) = r1; *(u32 *)(r7 + 24) = r2; r6 = r1; r6 += 64`,
  },
  branches: {
    first: 'r9 = r1; r7 = 0',
    // Everything is unknown again at the end, else the verifier would follow each way on its own; of branches that wait to be
    // followed it takes 8,192.
    body: `r6 = *(u32 *)(r9 + 0); r8 = r6; r8 <<= 3; if r6 > N goto aN; r7 += 3; r8 += r7; aN: r8 |= 1; r6 += r8;
      if w7 s< w6 goto bN; r6 ^= 5; r7 >>= 1; r6 += r7; bN: r7 = *(u64 *)(r9 + 8); r6 = r7; r8 = 0; w6 *= 3`,
  },
  stack: {
    first: 'r6 = 1; r7 = 2',
    body: `*(u64 *)(r10 - 16) = r6; r6 += r7; *(u32 *)(r10 - 24) = r7; r7 = *(u64 *)(r10 - 16); r6 ^= 9;
      r8 = *(u32 *)(r10 - 24); r6 += r8; r7 += 1`,
  },
  calls: {
    first: 'r6 = 1; r7 = 2',
    body: 'r1 = r6; r2 = r7; call fM; r6 = r0; call 8; r7 = r0; call 5; r6 += r0',
    functions: `.section .text
      .func fM : u64 (u64 a, u64 b)
      r0 = r1; r0 += r2; r0 *= M; r0 ^= r1; r0 += 1; exit`,
  },
  functions: {
    first: 'r6 = *(u64 *)(r1 + 0); r1 = arena ll',
    body: 'r1 = r6; r2 = 5; call fM',
    functions: `.section .text
      .func fM : u64 (u64 a, u64 b)
      r6 = r1; r7 = r2; r0 = 0
      1: may_goto 2f; ${`r1 = addr_space_cast(r6, 0, 1); r2 = *(u64 *)(r1 + 0); r2 += r7; r0 ^= r2; *(u64 *)(r1 + 8) = r2;
      *(u32 *)(r1 + 16) = r7; r6 = r2; r6 += 64; r7 <<= 1; r7 |= 3;`.repeat(50)} goto 1b
      2: exit`,
    count: FUNCTIONS,
  },
};

function objectOf({
  first,
  body,
  functions,
  count = Math.ceil(INSNS / body.split(';').length),
}: Shape): Uint8Array {
  const numbered = (text: string, n: number) =>
    text
      .replaceAll(/\b([ab])N\b/g, `$1${n}`)
      .replaceAll('N', String(n))
      .replaceAll(/\bfM\b/g, `f${n % FUNCTIONS}`)
      .replaceAll('M', String(n % FUNCTIONS));
  const lines = [
    '.license "GPL"',
    '.map arena, type=arena, max_entries=16, map_flags=0x400',
    '.section syscall\n.func program : s32 (void *ctx)',
    `*(u64 *)(r10 - 8) = 0; ${first}`,
    ...Array.from({ length: count }, (_, n) => numbered(body, n)),
    'r0 = 0; exit',
    ...(functions === undefined ? [] : Array.from({ length: FUNCTIONS }, (_, n) => numbered(functions, n))),
  ];
  return assembleObject(lines.join('\n'));
}

/** Runs something some times. @returns milliseconds of each, without the first, which warms up. */
function timed(run: () => unknown, rounds = ROUNDS): number[] {
  return Array.from({ length: rounds + 1 }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).slice(1);
}

/** The same module with one more section, which holds a byte. */
function withCustomSection(bytes: Uint8Array, byte: number): Uint8Array<ArrayBuffer> {
  const section = [0, 3, 1, 0x78, byte];
  const longer = new Uint8Array(bytes.length + section.length);
  longer.set(bytes);
  longer.set(section, bytes.length);
  return longer;
}

const rows: string[][] = [];
for (const [name, shape] of Object.entries(SHAPES)) {
  if (!name.includes(values.only)) continue;
  using kernel = new EmbeddedKernel({ engine: 'interpreter' });
  const { verified, arena } = (await kernel.load(parseObject(objectOf(shape)))).programs.program;
  const input: CompilationInput = { id: 1, verified, arena, resolve: () => 0n, mapOf: () => undefined };
  const target = targetOf(kernel, input, {});
  const perInsn = (milliseconds: number) => (milliseconds * 1e6) / verified.insns.length;
  const part = (run: () => unknown) => perInsn(summarize(timed(run)).median);
  const plans = planFunctions(verified, {});
  const units = plans.flatMap((plan, number) => (plan.inlined ? [] : [unitOf(verified, plans, number)]));
  const encode = ModuleBuilder.prototype.encode;
  let encoding = 0;
  ModuleBuilder.prototype.encode = function measured(this: ModuleBuilder) {
    const start = performance.now();
    const module = encode.call(this);
    encoding = performance.now() - start;
    return module;
  };
  const encodings: number[] = [];
  const whole = timed(() => {
    translate(verified, target);
    encodings.push(encoding);
  });
  const { median, low, high } = summarize(whole.map(perInsn));
  const parts = [
    part(() => planFunctions(verified, {})),
    part(() => plans.map((plan, number) => plan.inlined || unitOf(verified, plans, number))),
    part(() => units.map((unit) => new Liveness(verified, plans, unit, target.call))),
    part(() => units.map(({ nodes }) => structure(reducible(nodes)))),
    summarize(encodings.map(perInsn)).median,
  ];
  const { bytes } = translate(verified, target);
  let round = 0;
  // V8 keeps modules by their bytes, so each gets others.
  const v8 = timed(() => new WebAssembly.Module(withCustomSection(bytes, round++)), 5);
  const nanoseconds = [median, ...parts, perInsn(summarize(v8).median)].map((each) => each.toFixed(0));
  rows.push([
    name,
    String(verified.insns.length),
    nanoseconds[0],
    `${low.toFixed(0)}–${high.toFixed(0)}`,
    ...nanoseconds.slice(1),
    (bytes.length / verified.insns.length).toFixed(1),
  ]);
}
console.log(
  'Nanoseconds per BPF instruction (liveness is only found out where a unit has several versions):',
);
const head = [
  'shape',
  'insns',
  'translate',
  'quartiles',
  'plan',
  'unit',
  'liveness',
  'structure',
  'encode',
  'V8',
];
console.log(table([...head, 'bytes an insn'], rows));

const loads: string[][] = [];
const folder = new URL('../programs/', import.meta.url);
for (const file of readdirSync(folder).filter((each) => each.endsWith('.bpf.o'))) {
  const object = parseObject(readFileSync(new URL(file, folder)));
  for (const spec of Object.values(object.programs))
    spec.autoload &&= RUNNABLE_PROGRAM_TYPES.includes(spec.type);
  const times = await Promise.all(['jit', 'interpreter'].map((engine) => firstRun(engine as 'jit')));
  loads.push([file, ...times.flat().map((each) => each.toFixed(1))]);

  async function firstRun(engine: 'jit' | 'interpreter'): Promise<number[]> {
    const each: number[][] = [];
    for (let round = 0; round < 5; round++) {
      using kernel = new EmbeddedKernel({ engine, mayGoto: { iterations: 1 } });
      const start = performance.now();
      const { programs } = await kernel.load(object);
      const loaded = performance.now();
      const [program] = Object.values(programs);
      program?.run(program.type === 'xdp' ? { data: new Uint8Array(64) } : { ctx: new Uint8Array(64) });
      each.push([loaded - start, performance.now() - loaded]);
    }
    return [0, 1].map((column) => summarize(each.map((one) => one[column])).median);
  }
}
console.log('\nMilliseconds from the parsed object on, the same module compiled before:');
console.log(table(['object', 'JIT: load', 'first run', 'interpreter: load', 'first run'], loads));
