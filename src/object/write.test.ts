import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { noClang } from '../../test/clang.ts';
import { readElf, STT_FUNC, STT_SECTION } from '../elf/index.ts';
import { EmbeddedKernel } from '../embedded/kernel.ts';
import { FormatError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { parseObject } from './object.ts';
import { assembleObject, writeObject } from './write.ts';

/** A unit with one of everything. `sum` gives 3 + 40 + 500 + 1000 × times(7). */
const TEXT = `
.license "GPL"
.map arena, type=arena, max_entries=10, map_flags=0x400, map_extra=0x100000000000
.map counts, type=hash, key=u32, value=u64, max_entries=16
.extern kfunc bpf_arena_alloc_pages : void __arena * (void *, void __arena *, u32, s32, u64)
.extern weak kfunc absent_kfunc
.extern weak ksym absent_variable
.extern kconfig CONFIG_HZ : u32

.section .addr_space.1
.var tail : u32 = 3

.data
.var pair : u32[2] = 1, 40
.rodata
.var static constant : s16 = 500
.bss
.var seen : u64

.section syscall
.func sum : s32 (void *ctx)
        r1 = tail ll
        r1 = addr_space_cast(r1, 0, 1)
        r6 = *(u32 *)(r1 + 0)
        r1 = pair + 4 ll
        r1 = *(u32 *)(r1 + 0)
        r6 += r1
        r1 = constant ll
        r1 = *(s16 *)(r1 + 0)
        r6 += r1
        r1 = 7
        call times
        r6 += r0
        r1 = seen ll
        *(u64 *)(r1 + 0) = r6
        r1 = absent_kfunc ll
        if r1 != 0 goto fail
        r1 = absent_variable ll
        if r1 != 0 goto fail
        r0 = r6
        exit
fail:   r0 = -1
        exit

.text
.func static times : u64 (u64 n)
        r0 = r1
        r1 = CONFIG_HZ ll
        r1 = *(u32 *)(r1 + 0)
        r0 *= r1
        exit
`;
const FORMS = new URL('../isa/testdata/forms.json', import.meta.url);
const OBJECT = parseObject(assembleObject(TEXT, 'sum.bpfasm'), 'sum');

test('the code of the object is the code of the unit', () => {
  for (const section of assemble(TEXT).sections) {
    if (section.kind !== 'code') continue;
    assert.deepEqual(OBJECT.code.find(({ name }) => name === section.name)?.insns, section.insns);
  }
});

test('an assembled object runs in the embedded kernel', async () => {
  using kernel = new EmbeddedKernel();
  const { programs } = await kernel.load(OBJECT);
  assert.equal(programs.sum.run().retval, 7543);
});

test('every form of instruction goes into an object and comes back', () => {
  const forms: [bytes: string, form: string][] = JSON.parse(readFileSync(FORMS, 'utf8'));
  // Calls by distance have no function to go to here.
  const lines = forms.map(([, form]) => form).filter((form) => !/^(call|ld_pseudo)/.test(form));
  const [unit] = assemble(lines.join('\n')).sections;
  const [code] = parseObject(assembleObject(lines.join('\n'))).code;
  assert.ok(lines.length > 200);
  assert.deepEqual(code.insns, unit.kind === 'code' && unit.insns);
});

test('the address of a local function is its section and an addend, the only form that libbpf takes', () => {
  const bytes = assembleObject(
    '.func a\nexit\n.func static b\nexit\n.section xdp\n.func main\nr1 = b ll\nr2 = a ll\nexit',
  );
  const { relocations, symbols } = readElf(bytes);
  assert.deepEqual(
    [...relocations.values()][0].map(({ symbol }) => [symbol.type, symbol.name]),
    [
      [STT_SECTION, ''],
      [STT_FUNC, 'a'],
    ],
  );
  assert.ok(symbols.some(({ name }) => name === 'b'));
  const { references, insns } = parseObject(bytes).code[1];
  const callees = [...references.values()].map((each) => each.kind === 'function' && each.callee.name);
  assert.deepEqual([callees, insns[0].imm], [['b', 'a'], 8]);
});

test('helpers have their names, unless the caller brings constants of its own', () => {
  const text = '.section xdp\n.func main\ncall bpf_loop\nexit';
  assert.equal(parseObject(assembleObject(text)).code[0].insns[0].imm, 181);
  assert.throws(() => assembleObject(text, 'asm', []), /`bpf_loop` is not defined here/);
});

test('declarations come back as maps, variables, externs, functions and license', () => {
  const { maps, data, arenaGlobals, externs, programs, code, license } = OBJECT;
  assert.equal(license, 'GPL');
  assert.deepEqual(Object.keys(maps), ['arena', 'counts', '.data', '.rodata', '.bss']);
  assert.equal(maps.arena.mapExtra, 0x1000_0000_0000n);
  assert.deepEqual(
    [...data, arenaGlobals].map((section) => section?.variables.map(({ name, size }) => [name, size])),
    [[['pair', 8]], [['constant', 2]], [['seen', 8]], [['tail', 4]]],
  );
  assert.deepEqual(
    externs.map(({ name, kind, weak }) => [name, kind, weak]),
    [
      ['bpf_arena_alloc_pages', 'kfunc', false],
      ['absent_kfunc', 'kfunc', true],
      ['absent_variable', 'ksym', true],
      ['CONFIG_HZ', 'kconfig', false],
    ],
  );
  assert.deepEqual(Object.keys(programs), ['sum']);
  assert.deepEqual(
    code.flatMap(({ functions }) => functions.map(({ name, linkage }) => [name, linkage])),
    [
      ['times', 'static'],
      ['sum', 'global'],
    ],
  );
});

test('each instruction has its line of the text, each function its type', () => {
  const { lines, functions } = OBJECT.link(OBJECT.programs.sum, { btf: undefined, kconfig: () => undefined });
  const { insn, info } = lines[1];
  const text = '        r1 = addr_space_cast(r1, 0, 1)';
  assert.deepEqual(
    [insn, info.fileName, info.line, info.column, info.text],
    [2, 'sum.bpfasm', TEXT.split('\n').indexOf(text) + 1, 9, text],
  );
  assert.deepEqual(
    functions.map(({ type }) => OBJECT.btf?.nameOf(type)),
    ['sum', 'times'],
  );
  assert.deepEqual(
    functions.map(({ start }) => lines.some((line) => line.insn === start)),
    [true, true],
  );
});

test('a function without a prototype is int f(void *ctx) in a program section, else int f(void)', () => {
  const { btf } = parseObject(assembleObject('.func sub\nexit\n.section xdp\n.func main\nexit'));
  const parameters = (name: string) => {
    const func = btf?.type(btf.idOf(name, 'func') ?? 0);
    const proto = func?.kind === 'func' ? btf?.type(func.type) : undefined;
    return proto?.kind === 'func_proto' ? proto.params.map((param) => param.name) : undefined;
  };
  assert.deepEqual([parameters('sub'), parameters('main')], [[], ['ctx']]);
});

test('arena parameters of functions are tagged arg:arena, those of kfuncs are not', () => {
  const text = '.extern kfunc k : void (void __arena *)\n.func f : void (u32, void __arena *p)\ncall k\nexit';
  const { btf } = parseObject(assembleObject(text));
  const tags = (name: string, parameter: number) => btf?.declTags(btf.idOf(name, 'func') ?? 0, parameter);
  assert.deepEqual([tags('f', 0), tags('f', 1), tags('k', 0)], [[], ['arg:arena'], []]);
});

test('variables without a type are bytes, and a second name for the same bytes has no BTF', () => {
  const text = '.data\na: b: .long 1\nc: .byte 2, 3, 4';
  const [data] = parseObject(assembleObject(text)).data;
  assert.deepEqual(
    data.variables.map(({ name, offset, size }) => [name, offset, size]),
    [
      ['a', 0, 4],
      ['c', 4, 3],
    ],
  );
});

test('addresses in data are relocated as ELF wants it', () => {
  const { warnings } = parseObject(assembleObject('.data\n.var a : u64\n.quad a'));
  assert.match(warnings[0], /^section '\.data': initial values that are addresses/);
});

test('maps and programs stand in the slots of maps that hold them', () => {
  const { maps } = parseObject(
    assembleObject(`
.map inner, type=array, key=u32, value=u64, max_entries=2
.map outer, type=array_of_maps, key=u32, max_entries=4, inner=inner
.map_values outer, 3, inner
.map programs, type=prog_array, key=u32, max_entries=4
.map_values programs, 1, main
.section xdp
.func main
exit`),
  );
  assert.deepEqual(maps.outer.slots, [{ index: 3, kind: 'map', name: 'inner' }]);
  assert.deepEqual(maps.programs.slots, [{ index: 1, kind: 'program', name: 'main' }]);
  assert.deepEqual([maps.outer.valueSize, maps.outer.inner?.valueSize], [4, 8]);
});

test('a text that declares nothing gives an object without BTF', () => {
  const object = parseObject(assembleObject(''));
  assert.deepEqual([object.btf, object.code, Object.keys(object.maps)], [undefined, [], []]);
});

/** What the assembler takes and an object cannot hold, with the line that is blamed. */
const REFUSED = [
  ['.func f', 1, /section `\.text`, which has no content/],
  ['.func f\nexit\n.func g', 3, /function `g` has no instructions/],
  ['.bss\nx: .long 1', 2, /values other than 0 belong into \.data/],
  ['.map m, type=no_such_type', 1, /there is no map type `no_such_type`/],
  ['.map m, type=hash, key=struct key', 1, /key is `struct key`; give key_size/],
  ['.map m, type=array_of_maps, inner=f\n.func f\nexit', 1, /`f` is no map/],
  ['.map m, type=prog_array\n.map_values m, 0xffffffff, m', 1, /initial value 4294967295 is beyond/],
  ['.extern kconfig CONFIG_HZ', 1, /needs a type/],
  ['.map m, type=hash\n.section .maps\nx: .long 1', 3, /is made of `\.map` directives/],
  ['.license "GPL"\n.section license\nx: .asciz "GPL"', 3, /given twice/],
] as const;

for (const [text, line, message] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const refused = (error: unknown) =>
      error instanceof FormatError && error.offset === line && message.test(error.message);
    assert.throws(() => assembleObject(text), refused);
  });
}

/** Runs an LLVM tool on the object. */
function llvm(tool: string, ...args: string[]): string {
  const input = writeObject(assemble(TEXT, 'sum.bpfasm'), TEXT);
  const { status, stdout, stderr } = spawnSync(tool, [...args, '-'], { input, encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout;
}

test('llvm-readelf reads the object', { skip: noClang }, () => {
  const shown = llvm('llvm-readelf-22', '-S', '-s', '-r');
  assert.match(shown, /\.bss +NOBITS +0+ [0-9a-f]+ 000008 00 +WA/);
  assert.match(shown, /FUNC +LOCAL +DEFAULT +1 times/);
  assert.match(shown, /R_BPF_64_64 +0+ tail/);
  assert.match(shown, /NOTYPE +WEAK +DEFAULT +UND absent_kfunc/);
});

test('llvm-objdump shows the instructions beside their source lines', { skip: noClang }, () => {
  const shown = llvm('llvm-objdump-22', '-d', '-S', '-l');
  assert.match(shown, /<sum>:\n; sum\.bpfasm:22\n; +r1 = tail ll\n/);
  assert.match(shown, /; +r1 = \*\(s16 \*\)\(r1 \+ 0\)\n.*\tr1 = \*\(s16 \*\)\(r1 \+ 0x0\)\n/);
});

test('decl tags belong to functions and their parameters', () => {
  const text = `.text
.func f : s32 (u64 *a, u64 *b)
  r0 = 0
  exit
.decl_tag f, "exception_callback:g"
.decl_tag f, 1, "arg:nonnull"
`;
  const { btf } = parseObject(assembleObject(text), 'tags');
  const f = btf?.idOf('f', 'func') ?? 0;
  assert.deepEqual(btf?.declTags(f), ['exception_callback:g']);
  assert.deepEqual(btf?.declTags(f, 1), ['arg:nonnull']);
  assert.throws(() => assembleObject('.decl_tag nobody, "x"\n'), /`nobody` is no function/);
});
