import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyKind } from '../../test/fixtures.ts';
import { FormatError } from '../errors.ts';
import { type Btf, BtfBuilder, printC, printTs, printTypeC, toJson } from './index.ts';

/** The C of the type called `name`, with what it needs. */
function c(btf: Btf, name: string): string {
  return printTypeC(btf, btf.idOf(name) ?? assert.fail(`no ${name}`));
}

/** The C of one member `x` with a type that the test describes. */
function member(describe: (builder: BtfBuilder, int: number) => number): string {
  const builder = new BtfBuilder();
  const type = describe(builder, builder.int('int', 4));
  const id = builder.add({
    kind: 'struct',
    name: 's',
    size: 64,
    members: [{ name: 'x', type, bitOffset: 0, bitfieldSize: 0 }],
  });
  return (
    printTypeC(builder.build(), id)
      .split('\n')
      .find((line) => line.includes('x'))
      ?.trim() ?? ''
  );
}

test('declarations read inside out', () => {
  assert.equal(
    member((b, int) => b.array(b.array(int, 3), 2)),
    'int x[2][3];',
  );
  assert.equal(
    member((b, int) => b.array(b.ptr(int), 2)),
    'int *x[2];',
  );
  assert.equal(
    member((b, int) => b.ptr(b.array(int, 2))),
    'int (*x)[2];',
  );
  assert.equal(
    member((b, int) => b.ptr(b.modifier('const', int))),
    'const int *x;',
  );
  assert.equal(
    member((b, int) => b.modifier('const', b.ptr(int))),
    'int *const x;',
  );
  assert.equal(
    member((b, int) => b.modifier('restrict', b.ptr(int))),
    'int *__restrict x;',
  );
  assert.equal(
    member((b, int) => b.modifier('const', b.array(int, 2))),
    'const int x[2];',
  );
  assert.equal(
    member((b, int) =>
      b.array(
        b.ptr(
          b.funcProto(b.ptr(int), [
            { name: 'a', type: int },
            { name: '', type: 0 },
          ]),
        ),
        2,
      ),
    ),
    'int *(*x[2])(int, ...);',
  );
  assert.equal(
    member((b, int) => b.ptr(b.ptr(b.funcProto(int, [])))),
    'int (**x)(void);',
  );
  assert.equal(
    member((b) => b.ptr(b.typeTag('user', 0))),
    'void __attribute__((btf_type_tag("user"))) *x;',
  );
});

test('what is held by value is defined before, what is pointed to declared', () => {
  const text = c(everyKind.btf, 'node');
  const before = [
    'struct far;',
    'struct flags {',
    'enum color {',
    'enum huge {',
    'typedef long unsigned int count_t;',
  ];
  for (const part of before)
    assert.ok(text.includes(part) && text.indexOf(part) < text.indexOf('struct node {'), part);
});

test('tags, bit fields, anonymous members and flexible sizes are printed as clang reads them', () => {
  const text = c(everyKind.btf, 'node');
  assert.match(
    text,
    /\tstruct node __attribute__\(\(btf_type_tag\("user"\)\)\) \*next __attribute__\(\(btf_decl_tag\("chain"\)\)\);/,
  );
  assert.match(text, /\n} __attribute__\(\(btf_decl_tag\("owner"\)\)\);/);
  assert.match(text, /\tint ready: 1;\n\tint level: 5;/);
  assert.match(text, /\tunion \{\n\t\tlong unsigned int whole;\n\t\tdouble real;\n\t\};\n/);
  assert.match(text, /HUGE = 9223372036854775808ULL,\n\} __attribute__\(\(mode\(DI\)\)\)/);
});

test('gaps that alignment does not explain are filled', () => {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const at = (name: string, bitOffset: number, bitfieldSize = 0) => ({
    name,
    type: int,
    bitOffset,
    bitfieldSize,
  });
  builder.add({
    kind: 'struct',
    name: 'gap',
    size: 32,
    members: [at('a', 0), at('b', 128), at('c', 163, 2)],
  });
  builder.add({ kind: 'struct', name: 'packed', size: 5, members: [at('a', 8)] });
  const btf = builder.build();
  assert.equal(
    c(btf, 'gap'),
    'struct gap {\n\tint a;\n\tint: 32;\n\tlong: 64;\n\tint b;\n\tchar: 3;\n\tint c: 2;\n\tchar: 3;\n\tchar: 8;\n\tshort: 16;\n\tlong: 64;\n};\n\n',
  );
  assert.equal(c(btf, 'packed'), 'struct packed {\n\tchar: 8;\n\tint a;\n} __attribute__((packed));\n\n');
});

test('a second type or enumerator of the same name becomes a flavour', () => {
  const builder = new BtfBuilder();
  for (const value of [1, 2]) {
    builder.add({ kind: 'enum', name: 'e', size: 4, signed: false, values: [{ name: 'A', value }] });
  }
  assert.match(printC(builder.build()), /enum e \{\n\tA = 1,\n\};\n\nenum e___2 \{\n\tA___2 = 2,/);
});

test('an anonymous enum is printed once: its enumerators can be defined only once', () => {
  const builder = new BtfBuilder();
  const type = builder.add({
    kind: 'enum',
    name: '',
    size: 4,
    signed: false,
    values: [{ name: 'A', value: 0 }],
  });
  builder.composite('struct', 's', [
    { name: 'x', type },
    { name: 'y', type },
  ]);
  assert.equal(
    c(builder.build(), 's'),
    'struct s {\n\tenum {\n\t\tA = 0,\n\t} x;\n\t__UINT32_TYPE__ y;\n};\n\n',
  );
});

test('integers that C has no name for are defined by size', () => {
  const builder = new BtfBuilder();
  builder.composite('struct', 's', [{ name: 'x', type: builder.int('u16', 2, 0) }]);
  assert.match(c(builder.build(), 's'), /^typedef __UINT16_TYPE__ u16;/);
});

test('the header has a guard and relocates accesses unless told not to', () => {
  const text = printC(everyKind.btf, { guard: '__LIST_H__' });
  assert.match(
    text,
    /^#ifndef __LIST_H__\n#define __LIST_H__\n\n#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang/,
  );
  assert.doesNotMatch(printC(everyKind.btf, { guard: false }), /#/);
});

test('kfuncs are declared', () => {
  const builder = new BtfBuilder();
  const id = builder.func('bpf_do', builder.int('int', 4), [{ name: 'p', type: builder.ptr(0) }]);
  builder.declTag('bpf_kfunc', id);
  assert.match(printC(builder.build()), /extern int bpf_do\(void \*\) __weak __ksym;/);
  assert.doesNotMatch(printC(builder.build(), { kfuncs: false }), /bpf_do/);
});

test('a struct that contains itself and types that grow without end are refused', () => {
  const builder = new BtfBuilder();
  builder.add({
    kind: 'struct',
    name: 's',
    size: 8,
    members: [{ name: 'x', type: 1, bitOffset: 0, bitfieldSize: 0 }],
  });
  assert.throws(() => printC(builder.build()), FormatError);
  const fan = new BtfBuilder();
  let type = fan.composite('struct', '', []);
  for (let i = 0; i < 30; i++) {
    type = fan.composite('struct', i === 29 ? 'top' : '', [
      { name: 'a', type },
      { name: 'b', type },
    ]);
  }
  assert.throws(() => printC(fan.build()), /64 MiB/);
});

test('TypeScript: what a view of each kind gives', () => {
  assert.equal(
    printTs(everyKind.btf),
    `export interface node {
  next: node | null;
  far: Pointer<unknown> | null;
  whole: bigint;
  real: number;
  get name(): ArrayView<number>;
  set name(value: ArrayView<number> | string);
  count: bigint;
  readonly flags: flags;
  color: color;
  visit: Pointer<unknown> | null;
  size: huge;
  readonly matrix: ArrayView<ArrayView<number>>;
  ok: boolean;
}

export type color = 'RED' | 'GREEN' | number;

export type huge = 'HUGE' | bigint;

export interface flags {
  ready: number;
  level: number;
}

/** The object's global variables. */
export interface Globals {
  head: node | null;
}
`.replace(/^/, "import type { ArrayView, Pointer } from 'bpf-arena';\n\n"),
  );
});

test('TypeScript: anonymous types are called after their typedef or field, and reserved names avoided', () => {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const anonymous = () => builder.composite('struct', '', [{ name: 'v', type: int }]);
  builder.modifier('typedef', anonymous(), 'point_t');
  const inner = anonymous();
  builder.composite('struct', 'string', [
    { name: 'in-ner', type: inner },
    { name: 'class', type: int },
  ]);
  const text = printTs(builder.build());
  assert.match(text, /interface point_t \{/);
  assert.match(
    text,
    /interface string___2 \{\n {2}readonly 'in-ner': string___2_in_ner;\n {2}class: number;/,
  );
});

test('TypeScript: names do not grow with each anonymous type that is nested in another', () => {
  const builder = new BtfBuilder();
  let inner = builder.int('int', 4);
  for (let depth = 0; depth < 2000; depth++)
    inner = builder.composite('struct', '', [{ name: 'm', type: builder.ptr(inner) }]);
  builder.modifier('typedef', inner, 'deep');
  const text = printTs(builder.build());
  assert.equal(text.match(/interface /g)?.length, 2000);
  assert.ok(text.length < 1_500_000, `${text.length} characters`);
});

test('JSON has the keys of bpftool', () => {
  const { types } = toJson(everyKind.btf);
  assert.deepEqual(types[0], {
    ...{ id: 1, kind: 'INT', name: 'int', size: 4, bits_offset: 0, nr_bits: 32, encoding: 'SIGNED' },
  });
  assert.deepEqual(
    types.find(({ name }) => name === 'flags'),
    {
      ...{ id: everyKind.ids.flags, kind: 'STRUCT', name: 'flags', size: 4, vlen: 2 },
      members: [
        { name: 'ready', type_id: 1, bits_offset: 0, bitfield_size: 1 },
        { name: 'level', type_id: 1, bits_offset: 1, bitfield_size: 5 },
      ],
    },
  );
  assert.deepEqual(types.find(({ kind }) => kind === 'ENUM64')?.values, [
    { name: 'HUGE', val: '9223372036854775808' },
  ]);
});
