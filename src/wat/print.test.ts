import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mutate } from '../../test/mutate.ts';
import { FormatError } from '../errors.ts';
import { floatText } from './numbers.ts';
import { OPCODES, PREFIXED } from './opcodes.ts';
import { printWat } from './print.ts';

/**
 * Modules as text. `everything.wasm` was assembled by wabt from the text beside it: all that a module can declare, each
 * form of operands, names, branch hints; wabt makes the same bytes of what is printed here.
 */

const dataOf = (name: string) => readFileSync(new URL(`testdata/${name}`, import.meta.url));
const EVERYTHING = new Uint8Array(dataOf('everything.wasm'));

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** A length, in LEB128. */
const length = (bytes: readonly unknown[], more = 0): number[] => {
  const count = bytes.length + more;
  return count < 0x80 ? [count] : [(count & 0x7f) | 0x80, count >> 7];
};
const section = (id: number, ...content: number[]): number[] => [id, ...length(content), ...content];
const text = (name: string): number[] => [name.length, ...Buffer.from(name)];
/** A module with one memory and one function without parameters, which has a local of type i64. */
function moduleOf(body: number[], ...custom: number[][]): Uint8Array {
  return Uint8Array.from([
    ...HEADER,
    ...section(1, 1, 0x60, 0, 0),
    ...section(3, 1, 0),
    ...section(5, 1, 0, 1),
    ...section(10, 1, ...length(body, 4), 1, 1, 0x7e, ...body, 0x0b),
    ...custom.flat(),
  ]);
}
/** The instructions that are printed, without their indentation. */
function instructions(body: number[], ...custom: number[][]): string[] {
  const lines = printWat(moduleOf(body, ...custom)).split('\n');
  return lines
    .slice(lines.findIndex((line) => line.includes('(local')) + 1, lines.indexOf('  )'))
    .map((line) => line.trim());
}
const refused = (bytes: Uint8Array, problem: RegExp) =>
  assert.throws(
    () => printWat(bytes),
    (error) => error instanceof FormatError && problem.test(error.message),
  );

describe('a module as text', () => {
  it('has everything that the binary has', () => {
    assert.equal(printWat(EVERYTHING), dataOf('everything.wat').toString());
  });

  it('of nothing', () => {
    assert.equal(printWat(Uint8Array.from(HEADER)), '(module\n)\n');
  });

  it('indents structures and names where branches lead', () => {
    const lines = printWat(moduleOf([0x02, 0x40, 0x03, 0x40, 0x0c, 0x01, 0x0c, 0x00, 0x0b, 0x0b])).split(
      '\n',
    );
    const start = lines.findIndex((line) => line.includes('block'));
    assert.deepEqual(lines.slice(start, start + 6), [
      '    block $block0',
      '      loop $loop1',
      '        br $block0',
      '        br $loop1',
      '      end',
      '    end',
    ]);
  });

  it('has comments where they are asked for, each line its own', () => {
    const body = [0x01, 0x02, 0x40, 0x01, 0x0b];
    const first = moduleOf(body).indexOf(0x0a) + 7;
    const comments = new Map([
      [first, 'list.bpf.c:12: n = n->next'],
      [first + 3, 'one\ntwo'],
    ]);
    const lines = printWat(moduleOf(body), { annotate: (at) => comments.get(at) }).split('\n');
    assert.deepEqual(lines.slice(-11, -4), [
      '    ;; list.bpf.c:12: n = n->next',
      '    nop',
      '    block $block0',
      '      ;; one',
      '      ;; two',
      '      nop',
      '    end',
    ]);
  });

  it('makes identifiers of names: of two that are the same, one gets its number', () => {
    const names = section(1, 1, 0, ...text('a b(c)'));
    const locals = section(2, 1, 0, 1, 0, ...text('r0'));
    const named = section(0, ...text('name'), ...names, ...locals);
    assert.match(
      printWat(moduleOf([0x20, 0, 0x1a], named)),
      /\(func \$a_b_c_ \(type 0\)\n {4}\(local \$r0 i64\)\n {4}local.get \$r0/,
    );
    const same = section(0, ...text('name'), ...section(9, 2, 0, ...text('d'), 1, ...text('d')));
    const data = section(11, 2, 1, 0, 1, 0);
    assert.match(
      printWat(Uint8Array.from([...HEADER, ...data, ...same])),
      /\(data \$d ""\)\n {2}\(data \$d_1 ""\)/,
    );
  });

  it('knows the memory of each access where there are several, and data that goes into the second', () => {
    const bytes = [
      ...HEADER,
      ...section(1, 1, 0x60, 0, 0),
      ...section(3, 1, 0),
      ...section(5, 2, 0, 1, 0, 1),
    ];
    const code = section(10, 1, 10, 0, 0x41, 0, 0x28, 0x42, 1, 8, 0x1a, 0x0b);
    const data = section(11, 1, 2, 1, 0x41, 3, 0x0b, 1, 0x61);
    code[3] = code.length - 4;
    const printed = printWat(Uint8Array.from([...bytes, ...code, ...data]));
    assert.match(printed, /i32.load 1 offset=8\n/);
    assert.match(printed, /\(data \(;0;\) \(memory 1\) \(offset \(i32.const 3\)\) "a"\)/);
  });

  it('knows likely branches from unlikely ones', () => {
    const hints = [...text('metadata.code.branch_hint'), 1, 0, 2, 5, 1, 1, 9, 1, 0];
    const body = [0x41, 0, 0x0d, 0, 0x41, 0, 0x0d, 0];
    const [first, ...rest] = [moduleOf(body, section(0, ...hints))].map((bytes) =>
      printWat(bytes).match(/\(@.*/g),
    );
    assert.deepEqual(
      [first, rest],
      [['(@metadata.code.branch_hint "\\01") br_if 0', '(@metadata.code.branch_hint "\\00") br_if 0'], []],
    );
  });

  it('writes integers in decimal while they are small', () => {
    assert.deepEqual(instructions([0x42, 0x7f, 0x42, 0x80, 0x80, 0x04, 0x41, 0x80, 0x80, 0x7c]), [
      'i64.const -1',
      'i64.const 0x10000',
      'i32.const 0xffff0000',
    ]);
  });

  it('writes floats so that the same bits are read back', () => {
    const of32 = (bits: number) => floatText(new Uint8Array(Uint32Array.of(bits).buffer));
    assert.deepEqual([0x7fc00000, 0xffc00000, 0x7f800001, 0xff800000, 0x80000000, 0x3dcccccd].map(of32), [
      'nan',
      '-nan',
      'nan:0x1',
      '-inf',
      '-0',
      '0.10000000149011612',
    ]);
  });
});

describe('bytes that are no module, or a module that is not known here', () => {
  const cases: readonly (readonly [what: string, bytes: Uint8Array, problem: RegExp])[] = [
    ['no header', Uint8Array.of(1, 2, 3), /offset 0: this is not version 1/],
    ['a header cut short', Uint8Array.of(0, 0x61), /ends too early/],
    ['a section past the end', Uint8Array.from([...HEADER, 1, 5, 0]), /5 bytes do not fit/],
    ['a section that is not known', Uint8Array.from([...HEADER, 13, 0]), /section 13 is not known here/],
    [
      'a section twice',
      Uint8Array.from([...HEADER, 1, 1, 0, 1, 1, 0]),
      /section type comes too late, or twice/,
    ],
    ['a count that cannot be', Uint8Array.from([...HEADER, 1, 1, 100]), /no room for 100 items/],
    ['SIMD', moduleOf([0xfd, 0x0c]), /opcode fd is not known here/],
    ['64-bit memory', Uint8Array.from([...HEADER, ...section(5, 1, 4, 1)]), /limits with flags 0x4/],
    ['an opcode behind a prefix', moduleOf([0xfe, 0x7f]), /opcode fe 7f is not known here/],
    ['a local that is not there', moduleOf([0x20, 1]), /there is no local 1/],
    ['a branch to nowhere', moduleOf([0x0c, 1]), /leads out of 1 structures, 0 are open/],
    ['an else without its if', moduleOf([0x02, 0x40, 0x05, 0x0b]), /an else without its if/],
    ['code behind the end', moduleOf([0x0b]), /left over behind the end of a function/],
    ['code without an end', moduleOf([0x02, 0x40]), /ends too early/],
    ['a call of nothing', moduleOf([0x10, 9]), /there is no func 9/],
  ];
  for (const [what, bytes, problem] of cases) it(what, () => refused(bytes, problem));

  it('whatever is damaged: a FormatError, or text of sensible length', () => {
    let read = 0;
    const rounds = 5_000;
    for (let seed = 0; seed < rounds; seed++) {
      const bytes = mutate(EVERYTHING, seed);
      try {
        assert.ok(printWat(bytes).length < 300 * bytes.length, `seed ${seed}`);
        read++;
      } catch (error) {
        if (!(error instanceof FormatError)) throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    assert.ok(read > rounds / 100 && read < rounds, `${read} were read`);
  });

  it('however deep structures nest', () => {
    const body = Array.from({ length: 60 }, () => [0x02, 0x40]).flat();
    const deep = printWat(moduleOf([...body, ...Array.from({ length: 60 }, () => 0x0b)]));
    assert.ok(Math.max(...deep.split('\n').map((line) => line.search(/\S/))) < 110);
  });
});

it('each opcode has a name of its own, but for the two forms of select', () => {
  const names = [OPCODES, ...PREFIXED.values()].flatMap((table) =>
    [...table.values()].map(({ name }) => name),
  );
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    ['select'],
  );
  assert.equal(names.length, 270);
});
