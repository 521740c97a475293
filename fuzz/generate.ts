import { ARENA_KINDS } from './generator/arena.ts';
import { CALL_KINDS } from './generator/calls.ts';
import { LOOP_KINDS } from './generator/loops.ts';
import { MAP_KINDS } from './generator/maps.ts';
import { OBJECT_KINDS } from './generator/objects.ts';
import { PACKET_KINDS } from './generator/packets.ts';
import { SCALAR_KINDS } from './generator/scalars.ts';
import { STACK_KINDS } from './generator/stack.ts';
import { type Section, VALUE_SIZE, Writer } from './generator/writer.ts';
import { Random } from './random.ts';

/**
 * Random programs for trying verifiers: structured well enough that Linux accepts about half, and each says which rules it
 * touches. Text assembly, as docs/assembly.md has it.
 */

export { Random };

export interface GeneratedProgram {
  readonly text: string;
  /** What it does, one name a kind of statement. */
  readonly rules: ReadonlySet<string>;
  /** BPF_F_* to load it with. */
  readonly flags: number;
}

const BPF_F_STRICT_ALIGNMENT = 1 << 0;
/** States are kept wherever they may be: pruning is tried more. */
const BPF_F_TEST_STATE_FREQ = 1 << 3;

const KINDS = [
  ...SCALAR_KINDS,
  ...STACK_KINDS,
  ...MAP_KINDS,
  ...ARENA_KINDS,
  ...PACKET_KINDS,
  ...CALL_KINDS,
  ...LOOP_KINDS,
  ...OBJECT_KINDS,
];

const SECTION_WEIGHTS: readonly Section[] = [
  'syscall',
  'syscall',
  'syscall',
  'syscall',
  'xdp',
  'xdp',
  'tc',
  'tc',
  'socket',
  'cgroup_skb/egress',
  'raw_tp/sys_enter',
];

export function generate(random: Random): GeneratedProgram {
  const w = new Writer(random, random.pick(SECTION_WEIGHTS), KINDS);
  w.rule(`program of ${w.section}`);
  w.say('r6 = r1', 'call 7', 'r7 = r0', 'r9 = arena ll', `*(u32 *)(r10 - 4) = ${random.pick([0, 0, 1, 5])}`);
  w.say('r2 = r10', 'r2 += -4', 'r1 = values ll', 'call 1');
  if (!w.mistake(3)) w.say('if r0 == 0 goto out');
  w.say('r8 = r0', 'r9 = addr_space_cast(r9, 0, 1)');
  w.numbers = new Set([7]);
  w.has = new Set(['ctx', 'value', 'arena']);
  w.statements(2 + random.below(8), 2);
  w.say('out:', `r0 = ${w.mistake(3) ? random.pick([1, 2, -1]) : 0}`, 'exit');
  const head = [
    '.license "GPL"',
    '.map arena, type=arena, max_entries=4, map_flags=0x400, map_extra=0x700000000000',
    `.map values, type=${random.chance(50) ? 'array' : 'hash'}, key_size=4, value_size=${VALUE_SIZE}, max_entries=4`,
  ];
  let flags = 0;
  if (random.chance(8)) {
    flags |= BPF_F_STRICT_ALIGNMENT;
    w.rule('strict alignment');
  }
  if (random.chance(30)) {
    flags |= BPF_F_TEST_STATE_FREQ;
    w.rule('states kept everywhere');
  }
  return { text: w.text(head), rules: w.rules, flags };
}
