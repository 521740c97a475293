import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileBpf, noClang } from '../../test/clang.ts';
import {
  type Btf,
  BtfBuilder,
  type BtfField,
  type CoreRelo,
  type CoreReloKind,
  writeBtfExt,
} from '../btf/index.ts';
import { SHF_ALLOC, SHF_EXECINSTR, STT_FUNC, writeElf } from '../elf/index.ts';
import type { ErrnoName } from '../errors.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { encode } from '../isa/instruction.ts';
import { formatInstruction } from '../isa/print.ts';
import { parseObject } from './object.ts';

/** Types that both sides have, with what differs. */
interface Layout {
  /** Bytes before `task`'s members on this side. */
  before?: number;
  /** C type of `task.count`. */
  count?: 'u16' | 'u32' | 's32' | 'u64';
  /** Without it the side lacks `task`'s member `extra` and the enumerator. */
  full?: boolean;
  /** Of the enumerator `STATE_ON`. */
  on?: bigint;
}

/** struct task { char before[]; u32 pid; count; u32 extra; }, enum state { STATE_ON }, in this order of type ids. */
function types({ before = 0, count = 'u32', full = true, on = 1n }: Layout): BtfBuilder {
  const types = new BtfBuilder();
  // So that the ids of the two sides differ, too.
  if (before > 0) types.int('unsigned char', 1);
  const integers = {
    u16: types.int('unsigned short', 2),
    u32: types.int('unsigned int', 4),
    s32: types.int('int', 4),
    u64: types.int('unsigned long', 8),
  };
  const fields: BtfField[] = [
    { name: 'before', type: types.array(types.int('char', 1), before) },
    { name: 'pid', type: integers.u32 },
    { name: 'count', type: integers[count] },
  ];
  if (full) fields.push({ name: 'extra', type: integers.u32 });
  types.composite('struct', 'task', fields);
  const values = full ? [{ name: 'STATE_ON', value: on }] : [{ name: 'STATE_OFF', value: 0n }];
  types.add({ kind: 'enum64', name: 'state', size: 8, signed: false, values });
  return types;
}

interface Case {
  /** Of one instruction. */
  text: string;
  kind: CoreReloKind;
  type?: 'task' | 'state';
  access: string;
  local?: Layout;
  target?: Layout;
}

/** Links a program of one relocated instruction against the target; its text. */
function relocate({ text, kind, type = 'task', access, local = {}, target = {} }: Case): string {
  const builder = types(local);
  const id = builder.build().idOf(type) ?? 0;
  return link(object(text, builder, [{ insnOffset: 0, type: id, access, kind }]), types(target).build())[0];
}

/** An object with program `main`. */
function object(text: string, builder: BtfBuilder, relos: readonly CoreRelo[]): Uint8Array {
  const ext = writeBtfExt({ coreRelos: new Map([['xdp', relos]]) }, builder);
  const data = encode(assembleInstructions(`${text}\nexit`));
  return writeElf({
    sections: [
      { name: 'xdp', flags: SHF_ALLOC | SHF_EXECINSTR, data },
      { name: '.BTF', data: builder.write() },
      { name: '.BTF.ext', data: ext },
    ],
    symbols: [{ name: 'main', section: 0, type: STT_FUNC, size: data.length }],
  });
}

/** The instructions of a program, relocated to a target. */
function link(bytes: Uint8Array, btf: Btf | undefined, program = 'main'): string[] {
  const object = parseObject(bytes, 'object');
  const { insns } = object.link(object.programs[program], { btf, kconfig: () => undefined });
  return insns.map((_, index) => formatInstruction(insns, index));
}

const POISONED = 'call 0xbad2310';

/** What becomes of an instruction on a target where task's members begin 16 bytes later. */
const PATCHED: readonly (readonly [string, Case, string])[] = [
  [
    'byte_off in a load',
    { text: 'w1 = *(u32 *)(r2 + 0)', kind: 'byte_off', access: '0:1', target: { before: 16 } },
    'w1 = *(u32 *)(r2 + 0x10)',
  ],
  [
    'byte_off in a store of a register',
    { text: '*(u32 *)(r2 + 0) = w1', kind: 'byte_off', access: '0:1', target: { before: 16 } },
    '*(u32 *)(r2 + 0x10) = w1',
  ],
  [
    'byte_off in a store of a number',
    { text: '*(u32 *)(r2 + 4) = 7', kind: 'byte_off', access: '0:2', target: { before: 16 } },
    '*(u32 *)(r2 + 0x14) = 0x7',
  ],
  [
    'byte_off in an atomic',
    { text: 'lock *(u32 *)(r2 + 4) += w1', kind: 'byte_off', access: '0:2', target: { before: 16 } },
    'lock *(u32 *)(r2 + 0x14) += w1',
  ],
  [
    'byte_off in arithmetic',
    { text: 'r1 += 4', kind: 'byte_off', access: '0:2', target: { before: 100_000 } },
    'r1 += 0x186a4',
  ],
  [
    'byte_off in a ld_imm64',
    { text: 'r1 = 4 ll', kind: 'byte_off', access: '0:2', target: { before: 16 } },
    'r1 = 0x14 ll',
  ],
  ['byte_sz', { text: 'r1 = 4', kind: 'byte_sz', access: '0:2', target: { count: 'u64' } }, 'r1 = 0x8'],
  [
    'field_exists',
    { text: 'r1 = 1', kind: 'field_exists', access: '0:3', target: { full: false } },
    'r1 = 0x0',
  ],
  ['signed', { text: 'r1 = 0', kind: 'signed', access: '0:2', target: { count: 's32' } }, 'r1 = 0x1'],
  [
    'lshift_u64',
    { text: 'r1 = 32', kind: 'lshift_u64', access: '0:2', target: { count: 'u64' } },
    'r1 = 0x0',
  ],
  [
    'rshift_u64',
    { text: 'r1 = 32', kind: 'rshift_u64', access: '0:2', target: { count: 'u64' } },
    'r1 = 0x0',
  ],
  [
    'local_type_id',
    { text: 'r1 = 7', kind: 'local_type_id', access: '0', target: { before: 16 } },
    'r1 = 0x7',
  ],
  [
    'target_type_id',
    { text: 'r1 = 7', kind: 'target_type_id', access: '0', target: { before: 16 } },
    'r1 = 0x8',
  ],
  ['type_exists', { text: 'r1 = 1', kind: 'type_exists', access: '0' }, 'r1 = 0x1'],
  [
    'type_matches',
    { text: 'r1 = 1', kind: 'type_matches', access: '0', target: { full: false } },
    'r1 = 0x0',
  ],
  ['type_size', { text: 'r1 = 12', kind: 'type_size', access: '0', target: { before: 16 } }, 'r1 = 0x1c'],
  [
    'enumval_exists',
    { text: 'r1 = 1', kind: 'enumval_exists', type: 'state', access: '0', target: { full: false } },
    'r1 = 0x0',
  ],
  [
    'enumval_value in a ld_imm64',
    { text: 'r1 = 1 ll', kind: 'enumval_value', type: 'state', access: '0', target: { on: 1n << 40n } },
    'r1 = 0x10000000000 ll',
  ],
  [
    'a load whose field grew',
    { text: 'w1 = *(u32 *)(r2 + 4)', kind: 'byte_off', access: '0:2', target: { count: 'u64' } },
    'r1 = *(u64 *)(r2 + 0x8)',
  ],
  [
    'a load whose field shrank',
    { text: 'w1 = *(u32 *)(r2 + 4)', kind: 'byte_off', access: '0:2', target: { count: 'u16' } },
    'w1 = *(u16 *)(r2 + 0x4)',
  ],
  [
    'a load of a field whose sign would be lost is poisoned',
    {
      text: 'w1 = *(u32 *)(r2 + 4)',
      kind: 'byte_off',
      access: '0:2',
      local: { count: 's32' },
      target: { count: 'u64' },
    },
    POISONED,
  ],
  [
    'an access to a field that the target lacks is poisoned',
    { text: 'w1 = *(u32 *)(r2 + 8)', kind: 'byte_off', access: '0:3', target: { full: false } },
    POISONED,
  ],
  [
    'both slots of a ld_imm64 are poisoned',
    { text: 'r1 = 1 ll', kind: 'enumval_value', type: 'state', access: '0', target: { full: false } },
    POISONED,
  ],
];

for (const [name, relocated, expected] of PATCHED) {
  test(name, () => {
    assert.equal(relocate(relocated), expected);
  });
}

/** Instructions that do not fit their relocation. */
const REFUSED: readonly (readonly [Case, ErrnoName, RegExp])[] = [
  [
    { text: 'w1 = *(u32 *)(r2 + 4)', kind: 'byte_off', access: '0:2', target: { before: 40_000 } },
    'ERANGE',
    /^program 'main', instruction 0, CO-RE relocation <byte_off> of type 7 at 0:2: offset 40004 does not fit 16 bits/,
  ],
  [
    { text: 'w1 = *(u32 *)(r2 + 8)', kind: 'byte_off', access: '0:2' },
    'EINVAL',
    /holds 8, its type information says 4/,
  ],
  [{ text: 'r1 = 5', kind: 'byte_sz', access: '0:2' }, 'EINVAL', /holds 5, its type information says 4/],
  [{ text: 'r1 = 5 ll', kind: 'byte_sz', access: '0:2' }, 'EINVAL', /holds 5, its type information says 4/],
  [{ text: 'ld_pseudo r1, 3, 4', kind: 'byte_sz', access: '0:2' }, 'EINVAL', /ld_imm64 holds no number/],
  [{ text: 'r1 = r2', kind: 'byte_sz', access: '0:2' }, 'EINVAL', /the instruction has no immediate/],
  [{ text: 'call 1', kind: 'byte_sz', access: '0:2' }, 'EINVAL', /BPF_CALL cannot be relocated/],
  [
    { text: 'w1 = *(u8 *)(r2 + 4)', kind: 'byte_off', access: '0:2', target: { count: 'u64' } },
    'EINVAL',
    /accesses other than the field's 4 bytes/,
  ],
];

for (const [refused, code, message] of REFUSED) {
  test(`refused: <${refused.kind}> in ${refused.text}`, () => {
    assert.throws(() => relocate(refused), { code, message });
  });
}

const C_PROGRAM = `
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task { unsigned int pid; unsigned int count; unsigned int extra; };
#pragma clang attribute pop
enum state { STATE_ON = 1 };
__attribute__((section("xdp"))) int entry(struct task *t)
{
	return t->count + __builtin_preserve_field_info(t->extra, 2) + __builtin_preserve_type_info(*t, 1);
}`;

test("clang's relocations meet the target's layout", { skip: noClang }, () => {
  const target = types({ before: 16, full: false }).build();
  assert.deepEqual(link(compileBpf(C_PROGRAM), target, 'entry'), [
    'w1 = *(u32 *)(r1 + 0x14)',
    'r0 = 0x0',
    'w0 += w1',
    'r1 = 0x18',
    'w0 += w1',
    'exit',
  ]);
});

test('a kernel without type information refuses programs with CO-RE, and no others', () => {
  const relo = { insnOffset: 0, type: 7, access: '0:1', kind: 'byte_off' } as const;
  const linked = (relos: readonly CoreRelo[]) =>
    link(object('w1 = *(u32 *)(r2 + 0)', types({}), relos), undefined);
  assert.throws(() => linked([relo]), {
    code: 'EOPNOTSUPP',
    message: 'object: CO-RE needs BTF of the kernel, which has none',
  });
  assert.equal(linked([])[0], 'w1 = *(u32 *)(r2 + 0x0)');
});
