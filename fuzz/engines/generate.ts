import { ARENA_KINDS, cast, storePointer } from '../generator/arena.ts';
import { globalCall } from '../generator/calls.ts';
import { LOOP_KINDS } from '../generator/loops.ts';
import { boundedValue, lookup, MAP_KINDS } from '../generator/maps.ts';
import { comparePointers, SCALAR_KINDS } from '../generator/scalars.ts';
import { STACK_KINDS, variable } from '../generator/stack.ts';
import { type Kind, VALUE_SIZE, type Writer } from '../generator/writer.ts';
import type { Random } from '../random.ts';
import { ARENA_ENGINE_KINDS } from './arena.ts';
import { CALL_ENGINE_KINDS } from './calls.ts';
import { DATA_KINDS } from './data.ts';
import { FLOW_KINDS } from './flow.ts';
import { EngineWriter } from './writer.ts';

/** Programs that two engines run and that must not tell them apart. Nearly all are accepted. Several share an object. */

export interface EngineProgram {
  readonly name: string;
  readonly code: readonly string[];
  readonly rules: ReadonlySet<string>;
}

export interface EngineObject {
  readonly head: readonly string[];
  readonly programs: readonly EngineProgram[];
}

/** An object's text, or that of some of its programs. */
export function textOf({ head }: EngineObject, programs: readonly EngineProgram[]): string {
  return [...head, ...programs.flatMap(({ code }) => code), ''].join('\n');
}

/** Statements that make numbers of addresses, that need what the embedded kernel lacks, or that are mostly refused. */
const LEFT_OUT: readonly Kind['write'][] = [
  ...[storePointer, cast, comparePointers],
  lookup,
  ...[boundedValue, variable],
];

/** What a round leaves in r0 to r5 is not there in the first one, and the other way round. */
const LOOPS = LOOP_KINDS.map((kind) => ({
  ...kind,
  write(w: Writer, depth: number) {
    w.forget(0, 1, 2, 3, 4, 5);
    if ((w as EngineWriter).mayLoop()) kind.write(w, depth);
  },
}));

const KINDS: readonly Kind[] = [
  ...[...SCALAR_KINDS, ...STACK_KINDS, ...MAP_KINDS, ...ARENA_KINDS].filter(
    ({ write }) => !LEFT_OUT.includes(write),
  ),
  ...LOOPS,
  ...ARENA_ENGINE_KINDS,
  ...FLOW_KINDS,
  ...CALL_ENGINE_KINDS,
  ...DATA_KINDS,
  { weight: 3, write: globalCall },
];

/** Where arenas lie, by their pages: at the window's start, in its middle, at its very end. */
const PLACES: readonly ((pages: number) => number)[] = [
  () => 0,
  () => 0x10000,
  (pages) => 2 ** 32 - 4096 * pages,
];

const BPF_F_NO_USER_CONV = 1 << 18;
const BPF_F_MMAPABLE = 1 << 10;

/** Bytes of context that a run gives. */
export const CONTEXT_BYTES = 192;
/** From here on a program leaves its registers. */
const DUMP = 128;

/** @param count programs in the object. */
export function generateForEngines(random: Random, count: number): EngineObject {
  const pages = 2 + random.below(5);
  const start = random.pick(PLACES)(pages);
  const flags = BPF_F_MMAPABLE | (random.chance(15) ? BPF_F_NO_USER_CONV : 0);
  const declarations = new Set<string>();
  const programs = Array.from({ length: count }, (_, i): EngineProgram => {
    const name = `f${i}`;
    const w = new EngineWriter(name, random, KINDS, { start, pages });
    program(w);
    for (const line of w.declarations) declarations.add(line);
    return { name, code: w.code(name), rules: w.rules };
  });
  const head = [
    '.license "GPL"',
    `.map arena, type=arena, max_entries=${pages}, map_flags=${flags}, map_extra=${userAddress(start)}`,
    `.map values, type=${random.chance(70) ? 'array' : 'hash'}, key_size=4, value_size=${VALUE_SIZE}, max_entries=4`,
    ...declarations,
  ];
  return { head, programs };
}

function program(w: EngineWriter): void {
  const { random } = w;
  const [out, end] = [w.label(), w.label()];
  w.fillFrame();
  w.say('r6 = r1', 'r7 = *(u64 *)(r6 + 0)', `*(u32 *)(r10 - 4) = ${random.below(4)}`);
  w.say('r2 = r10', 'r2 += -4', 'r1 = values ll', 'call 1', `if r0 == 0 goto ${out}`, 'r8 = r0');
  // Naming the arena makes the program one that may reach into it.
  w.say('r1 = arena ll', `r9 = ${userAddress(w.arenaStart)} ll`, 'r9 = addr_space_cast(r9, 0, 1)');
  w.say('r2 = *(u64 *)(r6 + 8)', 'r3 = *(u32 *)(r6 + 16)', 'r4 = *(s16 *)(r6 + 20)');
  w.numbers = new Set([2, 3, 4, 7]);
  w.has = new Set(['ctx', 'value', 'arena']);
  w.statements(2 + random.below(9), 3);
  w.dump(DUMP, [...w.numbers, 9]);
  w.say(`r0 = r${w.number()}`, `goto ${end}`, `${out}:`, 'r0 = -1', `${end}:`, 'exit');
}

function userAddress(address: number): string {
  return `0x7000${address.toString(16).padStart(8, '0')}`;
}
