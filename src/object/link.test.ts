import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BtfBuilder, writeBtfExt } from '../btf/index.ts';
import {
  readElf,
  SHF_ALLOC,
  SHF_EXECINSTR,
  STT_FUNC,
  STV_DEFAULT,
  STV_HIDDEN,
  STV_INTERNAL,
  writeElf,
} from '../elf/index.ts';
import { FormatError } from '../errors.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { encode, imm64, instruction, subprogramTarget } from '../isa/instruction.ts';
import type { LinkedProgram } from './link.ts';
import { type BpfObject, type LinkTarget, parseObject } from './object.ts';
import { assembleObject } from './write.ts';

const CALL = instruction(0x85, { src: 1 });
const NO_KERNEL: LinkTarget = { btf: undefined, kconfig: () => undefined };

function link(object: BpfObject, program: string): LinkedProgram {
  return object.link(object.programs[program], NO_KERNEL);
}

function linkText(text: string, program = 'main'): LinkedProgram {
  return link(parseObject(assembleObject(text, 'text')), program);
}

/** The functions of a linked program, in order, and which one each call or function address goes to. */
function layout({ functions, insns }: LinkedProgram): string[] {
  const nameAt = (slot: number | undefined) => functions.find(({ start }) => start === slot)?.name;
  return functions.map(({ name, start, end }) => {
    const slots = Array.from({ length: end - start }, (_, index) => start + index);
    const targets = slots
      .map((slot) => subprogramTarget(insns[slot], slot))
      .filter((slot) => slot !== undefined);
    return `${name}: ${targets.map(nameAt).join(' ')}`.trim();
  });
}

test('the entry comes first, each callee behind its first caller, with its own callees before the next', () => {
  const program = linkText(`
.func c
exit
.func a
call c
call b
exit
.func b
call c
exit
.section xdp
.func main
call a
call b
call b
exit`);
  assert.deepEqual(layout(program), ['main: a b b', 'a: c b', 'c:', 'b: c']);
});

test('what is not called is left out', () => {
  assert.deepEqual(layout(linkText('.func unused\nexit\n.section xdp\n.func main\nexit')), ['main:']);
});

test('recursion is linked; the verifier is to refuse it', () => {
  assert.deepEqual(layout(linkText('.func a\ncall a\nexit\n.section xdp\n.func main\ncall a\nexit')), [
    'main: a',
    'a: a',
  ]);
});

test('several programs of one section share what they call, each with its own copy', () => {
  const object = parseObject(
    assembleObject(`
.section xdp
.func one
call shared
exit
.func static shared
r0 = 0
exit
.func two
r1 = 0
call shared
exit`),
  );
  assert.deepEqual(Object.keys(object.programs), ['one', 'two']);
  assert.deepEqual(layout(link(object, 'one')), ['one: shared', 'shared:']);
  assert.deepEqual(layout(link(object, 'two')), ['two: shared', 'shared:']);
  assert.notEqual(link(object, 'one').insns[0], link(object, 'one').insns[0]);
});

test('a call in one section to a function of another program section is linked', () => {
  const text = '.section tc\n.func other\nexit\n.section xdp\n.func main\ncall other\nexit';
  assert.deepEqual(layout(linkText(text)), ['main: other', 'other:']);
});

test('static, global and weak functions keep their linkage', () => {
  const { functions } = linkText(`
.func static local
exit
.func global
exit
.weak weak
.func weak
exit
.section xdp
.func main
call local
call global
call weak
exit`);
  assert.deepEqual(
    functions.map(({ name, linkage }) => `${name} ${linkage}`),
    ['main global', 'local static', 'global global', 'weak global'],
  );
});

test('hidden functions count as static: the verifier follows them', () => {
  const data = encode(assembleInstructions('exit\nexit\nexit'));
  const function_ = (name: string, value: number, visibility: number) => ({
    ...{ name, value, visibility },
    ...{ section: 0, size: 8, type: STT_FUNC },
  });
  const bytes = writeElf({
    sections: [{ name: '.text', flags: SHF_ALLOC | SHF_EXECINSTR, data }],
    symbols: [
      function_('a', 0, STV_DEFAULT),
      function_('b', 8, STV_HIDDEN),
      function_('c', 16, STV_INTERNAL),
    ],
  });
  assert.deepEqual(
    parseObject(bytes).code[0].functions.map(({ linkage }) => linkage),
    ['global', 'static', 'static'],
  );
});

test('calls and addresses of functions in the same section need no relocation', () => {
  const text = `
.section xdp
.func main
ld_pseudo r2, 4, 5
call near
call near
exit
.func static near
exit
.func static callback
exit`;
  assert.deepEqual(layout(linkText(text)), ['main: callback near near', 'callback:', 'near:']);
});

test('the address of a function is relative to the instruction behind its ld_imm64', () => {
  const text = '.func cb\nexit\n.section xdp\n.func main\nr2 = cb ll\ncall 181\nexit';
  const { insns, functions } = linkText(text);
  assert.equal(functions[1].start, 4);
  assert.deepEqual([insns[0].imm, layout(linkText(text))], [3, ['main: cb', 'cb:']]);
});

test('a call by section symbol and distance, as clang writes calls of static functions, finds the function', () => {
  const object = assembleObject(
    '.func first\nexit\n.func second\nexit\n.section xdp\n.func main\ncall first\nexit',
  );
  const { sections, symbols } = readElf(object);
  // `first` becomes a symbol of the section's start, and the distance to `second` stands in the immediate.
  const rewritten = writeElf({
    sections: sections
      .filter(({ name }) => name === '.text' || name === 'xdp')
      .map(({ name, data, flags }) => ({
        name,
        flags,
        data: name === 'xdp' ? data.with(4, 0).with(5, 0).with(6, 0).with(7, 0) : data,
        relocations: name === 'xdp' ? [{ offset: 0, type: 10, symbol: 0 }] : [],
      })),
    symbols: [
      { name: '', section: 0, type: 3, binding: 0 },
      ...symbols
        .filter(({ name }) => name !== '')
        .map(({ name, value, size, type }) => ({
          name,
          value,
          size,
          type,
          section: name === 'main' ? 1 : 0,
        })),
    ],
  });
  assert.deepEqual(layout(link(parseObject(rewritten), 'main')), ['main: second', 'second:']);
});

test('line records and function types move along with their instructions', () => {
  const { lines, functions } = linkText(
    '.func a\nr0 = 1\nexit\n.section xdp\n.func main\ncall a\nr0 = 2\nexit',
  );
  assert.deepEqual(
    lines.map(({ insn, info }) => `${insn} ${info.text}`),
    ['0 call a', '1 r0 = 2', '2 exit', '3 r0 = 1', '4 exit'],
  );
  assert.ok(functions.every(({ type }) => type > 0));
});

test('records that a tool wrote in another order, or twice, are found all the same', () => {
  const types = new BtfBuilder();
  const func = types.func('main', types.int('int', 4), []);
  const line = (insnOffset: number, text: string) => ({
    insnOffset,
    fileName: 'a.c',
    text,
    line: 1,
    column: 1,
  });
  const lines = [line(8, 'second'), line(0, 'first'), line(8, 'again')];
  const funcs = [0, 0].map((insnOffset) => ({ insnOffset, type: func }));
  const ext = writeBtfExt(
    { lineInfo: new Map([['xdp', lines]]), funcInfo: new Map([['xdp', funcs]]) },
    types,
  );
  const data = encode(assembleInstructions('r0 = 1\nexit'));
  const object = writeElf({
    sections: [
      { name: 'xdp', flags: SHF_ALLOC | SHF_EXECINSTR, data },
      { name: '.BTF', data: types.write() },
      { name: '.BTF.ext', data: ext },
    ],
    symbols: [{ name: 'main', section: 0, type: STT_FUNC, size: 16 }],
  });
  const linked = link(parseObject(object), 'main');
  assert.deepEqual(
    linked.lines.map(({ insn, info }) => `${insn} ${info.text}`),
    ['0 first', '1 second'],
  );
  assert.equal(linked.functions[0].type, func);
});

test('references move along, and those among functions are gone', () => {
  const { references } = linkText(`
.map m, type=hash, key=u32, value=u32, max_entries=1
.extern kfunc k
.data
.var v : u64[2]
.text
.func a
r1 = v + 8 ll
call k
exit
.section xdp
.func main
r1 = m ll
call a
exit`);
  assert.deepEqual(
    [...references].map(([slot, reference]) => [slot, reference.kind]),
    [
      [0, 'map'],
      [4, 'data'],
      [6, 'extern'],
    ],
  );
  assert.deepEqual(references.get(4), { kind: 'data', section: '.data', offset: 8 });
});

test('linking leaves the object as it is', () => {
  const object = parseObject(assembleObject('.func a\nexit\n.section xdp\n.func main\nr0 = 1\ncall a\nexit'));
  const { insns } = link(object, 'main');
  insns[0].imm = 99;
  assert.equal(object.programs.main.entry.section.insns[0].imm, 1);
});

/** An object with one section of code, all of it function `main`. */
function codeObject(section: string, data: Uint8Array): Uint8Array {
  return writeElf({
    sections: [{ name: section, flags: SHF_ALLOC | SHF_EXECINSTR, data }],
    symbols: [{ name: 'main', section: 0, type: STT_FUNC, size: data.length }],
  });
}

test('a function with more calls than the stack has room for is linked', () => {
  const calls = 200_000;
  const insns = Array.from({ length: calls }, (_, slot) => ({ ...CALL, imm: -1 - slot }));
  const { functions } = link(parseObject(codeObject('xdp', encode(insns))), 'main');
  assert.deepEqual([functions.length, functions[0].end], [1, calls]);
});

test('a program of more than a million instructions is refused', () => {
  const object = parseObject(codeObject('xdp', new Uint8Array(8 * 1_000_001)));
  assert.throws(() => link(object, 'main'), {
    code: 'E2BIG',
    message: /'main': more than 1000000 instructions/,
  });
});

/** What damaged objects hold, and how they are refused. */
const REFUSED = [
  ['.func main\nexit\nexit\n.size main, 24', /function 'main' ends at 24 of 16/],
  ['.func main\nexit\n.size main, 4', /function 'main' ends at 4 of 8/],
  ['.func main\nr1 = 5 ll\nexit\n.size main, 8', /function 'main' ends in the middle of a ld_imm64/],
  ['.func main\n.quad 0x0000000500001085\nexit', /no function starts at instruction 6 of section 'xdp'/],
  ['.func main\nr1 = here ll\nexit\nhere: exit', /no function starts at instruction 3/],
] as const;

for (const [text, message] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const ours = (error: unknown) => error instanceof FormatError && message.test(error.message);
    assert.throws(() => linkText(`.section xdp\n${text}`), ours);
  });
}

test('a map by its number alone is refused: it would be whatever the loading kernel calls so', () => {
  const text = '.section xdp\n.func main\nr0 = 0\nld_pseudo r1, 1, 5\nexit';
  assert.throws(() => linkText(text), {
    code: 'EBADF',
    message: /'main', instruction 1: fd 5 is not pointing/,
  });
});

test('a ld_imm64 keeps its number', () => {
  const { insns } = linkText('.section xdp\n.func main\nr1 = 0x1122334455667788 ll\nexit');
  assert.equal(imm64(insns, 0), 0x1122334455667788n);
});
