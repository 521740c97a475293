import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { embeddedBtf } from '../embedded/btf.ts';
import { KERNEL_TYPES } from '../embedded/kernel-types.ts';
import { FormatError } from '../errors.ts';
import { BtfBuilder, CTypes, printC } from './index.ts';

/** What C declarations come to as BTF, printed as C again. */
function declared(text: string): string {
  const builder = new BtfBuilder();
  const types = new CTypes(builder);
  for (const { name, returns, params } of types.declare(text)) builder.func(name, returns, params);
  types.finish();
  const printed = printC(builder.build()).split('\n');
  return printed.filter((line) => line !== '' && !line.startsWith('#')).join('\n');
}

const SAME = [
  'struct a {\n\tint x;\n};',
  'struct a {\n\tstruct a *next;\n\tint x[3][2];\n};',
  'struct a {\n\tstruct {\n\t\tlong int y;\n\t};\n\tunion {\n\t\tchar c;\n\t\tshort int d;\n\t} u;\n};',
  'struct a {\n\tint (*fn)(long int, const char *);\n};',
  'struct a {\n\tconst volatile unsigned char *p;\n\tvoid *const q;\n};',
  'enum e {\n\tA = 0,\n\tB = 4,\n\tC = -1,\n};',
  'struct a {\n\tunsigned char x: 4;\n\tunsigned char y: 4;\n\tunsigned char z: 2;\n\tshort int w;\n};',
  'typedef unsigned int u32;\ntypedef u32 *pointer;',
  'union u {\n\tlong long unsigned int a;\n\tchar b[8];\n};',
];

describe('C declarations as BTF', () => {
  for (const text of SAME)
    it(`give ${text.replace(/\s+/g, ' ')} back`, () => assert.equal(declared(text), text));

  it('know functions with the names of their parameters', () => {
    const types = new CTypes(new BtfBuilder());
    const [{ name, params }] = types.declare('extern void *f(struct s *p__map, unsigned long, ...);');
    assert.deepEqual([name, params.map((each) => each.name)], ['f', ['p__map', '', '']]);
  });

  it('tag what stands before a star', () => {
    assert.match(declared('struct t; struct a { struct t __kptr *p; };'), /btf_type_tag\("kptr"\)/);
  });

  it('tag members with what they contain', () => {
    const builder = new BtfBuilder();
    const types = new CTypes(builder);
    types.declare('struct b { int x; int y __contains(node, link); };');
    const id = types.find('struct', 'b') ?? 0;
    types.finish();
    assert.deepEqual(builder.build().declTags(id, 1), ['contains:node:link']);
  });

  for (const text of [
    'struct a { int x; ',
    'struct a { int x:99; };',
    'int x;',
    'foo y(void);',
    'struct a { struct b x; };',
    'enum { A = 99999999999 };',
    '$',
    'struct a {}; struct a {};',
  ])
    it(`refuse ${text}`, () => assert.throws(() => new CTypes(new BtfBuilder()).declare(text), FormatError));

  it('never fail otherwise, whatever the text', () => {
    const word = fc.constantFrom(...(KERNEL_TYPES.match(/\w+|[{}()[\];,*]/g) ?? []));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        try {
          declared(words.join(' '));
        } catch (error) {
          assert.ok(error instanceof FormatError, String(error));
        }
      }),
    );
  });

  it('describe the embedded kernel as clang does: what is printed of it can be read again', () => {
    const btf = embeddedBtf();
    const text = printC(btf)
      .split('\n')
      .filter((line) => !line.startsWith('#') && !line.startsWith('extern'))
      .join('\n')
      .replace(/__attribute__\(\(btf_type_tag\("(\w+)"\)\)\)/g, '__$1');
    const builder = new BtfBuilder();
    const types = new CTypes(builder);
    types.declare(text);
    assert.notEqual(types.find('struct', 'task_struct'), undefined);
  });
});
