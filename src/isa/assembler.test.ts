import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FormatError } from '../errors.ts';
import { assemble, assembleInstructions } from './assembler.ts';
import { decode, encode } from './instruction.ts';
import { formatInstruction } from './print.ts';
import type { CodeSection, DataSection } from './unit.ts';

const PROGRAM = `
.license "GPL"
.equ PAGES, 100
.map arena, type=arena, max_entries=PAGES, map_flags=1 << 10, map_extra=0x100000000000
.map counts, type=BPF_MAP_TYPE_HASH, key=u32, value=u64[2], max_entries=8, pinning=by_name
.map outer, type=array_of_maps, key_size=4, value_size=4, max_entries=2, inner=counts
.map_values outer, 0, counts
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *map, void __arena *addr, u32 pages, s32, u64 flags)
.extern weak ksym bpf_prog_active : s32

.section .addr_space.1
.var head : void __arena *
.var static table : u32[4] = 1, 2
.data
.byte 1
.p2align 2
entry: .quad main + 8
.asciz "a\\x41\\n"

.section syscall
.func main : s32 (void *ctx)
        r1 = arena ll           # a map
        r1 = table + 4 ll       // a variable
        call bpf_arena_alloc_pages
        call twice              /* in this section */
        call elsewhere
1:      if r0 == 0 goto 1b; goto 1f
1:      exit
.func static twice
        r0 <<= 1
        exit
.text
.func elsewhere
        w0 = 0
        exit
`;

describe('a whole program', () => {
  const unit = assemble(PROGRAM, 'program.bpfasm');
  const section = (name: string) => unit.sections.find((each) => each.name === name);
  const code = section('syscall') as CodeSection;

  test('maps carry their attributes', () => {
    const [arena, counts, outer] = unit.maps;
    assert.deepEqual(
      [arena.type, arena.maxEntries, arena.mapFlags, arena.mapExtra],
      ['arena', 100, 0x400, 0x1000_0000_0000n],
    );
    assert.deepEqual([counts.type, counts.keySize, counts.valueSize, counts.pinning], ['hash', 4, 16, 1]);
    assert.deepEqual([outer.inner, outer.values], ['counts', [{ index: 0, symbol: 'counts' }]]);
  });

  test('externs carry prototypes and types', () => {
    const [kfunc, ksym] = unit.externs;
    assert.deepEqual(kfunc.prototype?.returns, { base: 'void', pointers: 1, arena: true });
    assert.deepEqual(
      kfunc.prototype?.parameters.map(({ name, type }) => `${type.base} ${name}`),
      ['void map', 'void addr', 'u32 pages', 's32 ', 'u64 flags'],
    );
    assert.deepEqual([ksym.kind, ksym.weak, ksym.ctype?.base], ['ksym', true, 's32']);
  });

  test('symbols have section, place, size, type and binding', () => {
    const symbols = unit.symbols.map((each) => {
      const { name, section: where, offset, size, type, binding } = each;
      return [name, where, offset, size, type, binding].join(' ');
    });
    assert.deepEqual(symbols, [
      'head .addr_space.1 0 8 object global',
      'table .addr_space.1 8 16 object local',
      'entry .data 4 12 object local',
      'main syscall 0 80 function global',
      'twice syscall 80 16 function local',
      'elsewhere .text 0 16 function global',
    ]);
  });

  test('data is laid out as declared', () => {
    const arena = section('.addr_space.1') as DataSection;
    assert.deepEqual([arena.align, arena.writable, arena.nobits], [8, true, false]);
    assert.deepEqual([...new Uint32Array(arena.bytes.slice(8).buffer)], [1, 2, 0, 0]);
    const data = section('.data') as DataSection;
    assert.deepEqual([...data.bytes], [1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x41, 10, 0]);
    assert.deepEqual(
      data.relocations.map(({ kind, offset, symbol, addend }) => ({ kind, offset, symbol, addend })),
      [{ kind: 'abs64', offset: 4, symbol: 'main', addend: 8 }],
    );
  });

  test('what the linker must fill in is a relocation; local calls and jumps are not', () => {
    assert.deepEqual(
      code.relocations.map(({ kind, offset, symbol, addend }) => `${kind} ${offset} ${symbol}+${addend}`),
      ['ld_imm64 0 arena+0', 'ld_imm64 16 table+4', 'call 32 bpf_arena_alloc_pages+0', 'call 48 elsewhere+0'],
    );
    assert.deepEqual(
      code.insns.slice(4).map((_, index) => formatInstruction(code.insns, index + 4)),
      [
        'call -0x1',
        'call 0x4',
        'call -0x1',
        'if r0 == 0x0 goto -0x1',
        'goto +0x0',
        'exit',
        'r0 <<= 0x1',
        'exit',
      ],
    );
  });

  test('each slot knows its line', () => {
    const lines = PROGRAM.split('\n');
    assert.equal(code.lines.length, code.insns.length);
    assert.match(lines[code.lines[0] - 1], /r1 = arena ll/);
    assert.match(lines[code.lines[8] - 1], /goto 1f/);
    assert.equal(unit.license, 'GPL');
  });
});

test('spellings of clang and of listings mean the same instruction', () => {
  const SAME: [string, string][] = [
    ['r1 = 0xffffffff', 'r1 = -1'],
    ['r1=r2', 'r1 = r2'],
    ['r1 = *(u32 *)(r2 + 4)', 'w1 = *(u32*)(r2+4)'],
    ['*(u8 *)(r2 + 4) = r3', '*(u8 *)(r2 + 4) = w3'],
    ['lock *(u32 *)(r1 + 0) += r2', 'lock *(u32 *)(r1 + 0) += w2'],
    ['goto 3', 'goto +0x3 <LBB0_3>'],
    ['goto +1', 'goto +1 <main+0x10>'],
    ["r1 = 'a'", 'r1 = (0x60 | 1)'],
    ['r1 = 1; r2 = 2', '; int x = 1;\nr1 = 1 // one\nr2 = 2 # two'],
    ['call 0x1 <pc+0x1>', 'call 1 <sub>'],
  ];
  for (const [one, other] of SAME)
    assert.deepEqual(assembleInstructions(one), assembleInstructions(other), one);
});

test('data directives in code make slots, as the inline-assembly fallback for address-space casts does', () => {
  const cast = '.byte 0xbf; .byte 0x11; .short 1; .long 0x10000; .quad 0x95';
  assert.deepEqual(assembleInstructions(cast), assembleInstructions('r1 = addr_space_cast(r1, 1, 0); exit'));
  const wide = '.quad 0x5000000118; .quad 0; exit';
  assert.deepEqual(
    encode(assembleInstructions(wide)),
    encode(decode(encode(assembleInstructions('r1 = 0x50 ll; exit')))),
  );
});

/** Texts that are refused: the line, and what the message must say. */
const REFUSED: [text: string, line: number, says: RegExp][] = [
  ['exit\nfoo bar', 2, /expected an instruction, found `foo`/],
  ['r11 = 1', 1, /expected a register from r0 to r10, found `r11`/],
  ['w1 = r2', 1, /expected a 32-bit register, w0 to w10, found `r2`/],
  ['r1 = 0x100000000', 1, /expected a 32-bit number, found 4294967296; a 64-bit one ends in `ll`/],
  ['r1 = foo', 1, /expected a number, found `foo`; its address is `foo ll`/],
  ['r1 = -r2', 1, /expected `r1`, found `r2`/],
  ['w1 = be16 w1', 1, /expected a 64-bit register, r1/],
  ['w1 = (s32)w2', 1, /expected one of \(s8\), \(s16\)/],
  ['r1 = *(u24 *)(r2 + 0)', 1, /expected u8, u16, u32, u64, s8, s16 or s32, found `u24`/],
  ['r1 = *(u32 *)(r2)', 1, /expected `\+` or `-` and an offset, found `\)`/],
  ['r1 = *(u32 *)(r2 + 32768)', 1, /an offset from -32768 to 32767, found 32768/],
  ['w1 = *(s8 *)(r2 + 0)', 1, /expected a 64-bit register/],
  ['r2 = cmpxchg_64(r1 + 0, r2, r3)', 1, /expected r0/],
  ['if r1 ~ 3 goto +1', 1, /expected a comparison/],
  ['if r1 == 3 +1', 1, /expected `goto`, found the end/],
  ['goto nowhere', 1, /label `nowhere` is not defined/],
  ['\n\ngoto 1b', 3, /label `1b` is not defined/],
  ['goto +40000', 1, /expected a distance from -32768 to 32767/],
  ['.text\na: exit\n.section tc\ngoto a', 4, /label `a` is in section `\.text`; jumps stay in their section/],
  ['a:\nexit\na: exit', 3, /`a` is already defined in line 1/],
  ['r1: exit', 1, /`r1` is a register/],
  ['call foo', 1, /`foo` is not defined here; .* needs `\.extern`/],
  ['call bpf_map_lokup_elem', 1, /is not defined here; did you mean `bpf_map_lookup_elem`\?/],
  ['exit exit', 1, /expected the end of the statement, found `exit`/],
  ['.bogus', 1, /there is no directive `\.bogus`/],
  ['.data\nexit', 2, /section `\.data` holds data/],
  ['.byte 1\nexit', 2, /ends 1 bytes into an instruction/],
  ['.data; .byte 256', 1, /expected a number of 8 bits, found 256/],
  ['.data; .var x : u32 = 1, 2', 1, /expected at most 1 values, found 2/],
  ['.data; .var x : foo', 1, /expected a type .*, found `foo`/],
  ['.map m, max_entries=1', 1, /map `m` needs `type=`/],
  ['.map m, type=hash, colour=1', 1, /expected a map attribute \(type, .*\), found `colour`/],
  ['.map m, type=hash, type=array', 1, /`type` is given twice/],
  ['.map m, type=array_of_maps, inner=x', 1, /`x` is not defined/],
  ['.extern bar foo', 1, /expected kfunc, ksym, kconfig or func, found `bar`/],
  ['r1 = 1 / 0', 1, /division by zero/],
  ['r1 = 5 @', 1, /expected the end of the statement, found `@`/],
  ['r1 = 5 \\', 1, /expected a statement, found "\\\\"/],
  ['/* never', 1, /expected `\*\/`, found the end of the text/],
];

for (const [text, line, says] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => assemble(text, 'x.bpfasm'),
      (error) => {
        assert.ok(error instanceof FormatError);
        assert.deepEqual([error.section, error.offset], ['x.bpfasm', line]);
        assert.match(error.message, says);
        return true;
      },
    );
  });
}

test('a jump too far for 16 bits says what to use', () => {
  const over = (slots: number) => `goto end\n${'r0 = 0\n'.repeat(slots)}end: exit`;
  const back = (slots: number) => `start:\n${'r0 = 0\n'.repeat(slots - 1)}goto start`;
  assert.equal(assembleInstructions(over(0x7fff))[0].off, 0x7fff);
  assert.equal(assembleInstructions(back(0x8000)).at(-1)?.off, -0x8000);
  assert.throws(
    () => assembleInstructions(over(0x8000)),
    /32768 instructions away, too far for 16 bits; use `gotol`/,
  );
  assert.throws(() => assembleInstructions(back(0x8001)), /-32769 instructions away/);
  assert.equal(assembleInstructions(over(0x8000).replace('goto', 'gotol'))[0].imm, 0x8000);
});

test('a call of a local function in another section is left to the linker', () => {
  const { sections } = assemble('.func static sub; exit; .section tc; call sub; exit');
  const [, tc] = sections as readonly CodeSection[];
  assert.deepEqual(
    tc.relocations.map(({ kind, symbol }) => `${kind} ${symbol}`),
    ['call sub'],
  );
  assert.equal(tc.insns[0].imm, -1);
});

test('numbers that the caller names may stand wherever a number may', () => {
  const constants = [
    ['bpf_map_lookup_elem', 1n],
    ['BPF_F_MMAPABLE', 1024n],
  ] as const;
  const { sections, maps } = assemble(
    '.map m, type=array, map_flags=BPF_F_MMAPABLE; call bpf_map_lookup_elem',
    'x',
    constants,
  );
  assert.deepEqual((sections[0] as CodeSection).insns, assembleInstructions('call 1'));
  assert.equal(maps[0].mapFlags, 1024);
});

test('names say what sections hold: data behind a dot, programs of struct_ops and others without', () => {
  for (const name of ['.data', '.data.cold', '.rodata.str1.1', '.struct_ops.link', 'license'])
    assert.equal(assemble(`.section ${name}\n.byte 1`).sections[0].kind, 'data', name);
  for (const name of ['struct_ops/init', 'struct_ops.s/init', 'data', 'xdp', '?tc'])
    assert.equal(assemble(`.section "${name}"\nexit`).sections[0].kind, 'code', name);
});
