import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assembleInstructions } from './assembler.ts';
import { decode, encode, instruction } from './instruction.ts';
import { OPCODES } from './opcodes.ts';
import { formatInstruction } from './print.ts';
import { formatXlated } from './xlated.ts';

/**
 * Bytes, what llvm-objdump 22 prints for them, and what Linux 6.18's verifier log prints (empty where it prints nothing
 * or depends on maps). Recorded from both; at least one row for every opcode.
 */
const FORMS: readonly [bytes: string, llvm: string, kernel: string][] = JSON.parse(
  readFileSync(new URL('testdata/forms.json', import.meta.url), 'utf8'),
);

const insnsOf = (bytes: string) => decode(Uint8Array.from(Buffer.from(bytes, 'hex')));

test('the recorded forms cover every opcode', () => {
  const covered = new Set(FORMS.map(([bytes]) => Number.parseInt(bytes.slice(0, 2), 16)));
  assert.deepEqual(
    OPCODES.filter(({ code }) => !covered.has(code)).map(({ name }) => name),
    [],
  );
});

for (const [bytes, llvm, kernel] of FORMS) {
  test(`${bytes} prints as ${llvm}`, () => {
    assert.equal(formatInstruction(insnsOf(bytes), 0), llvm);
    if (kernel !== '') assert.equal(formatXlated(insnsOf(bytes), 0), kernel);
    const again = assembleInstructions(formatInstruction(insnsOf(bytes), 0, { lossless: true }));
    assert.equal(Buffer.from(encode(again)).toString('hex'), bytes);
  });
}

describe('clang text', () => {
  test('jumps name their target when asked', () => {
    const insns = assembleInstructions('if w1 s> -1 goto +3; gotol -2; may_goto +0; exit');
    const label = (slot: number) => `main+${slot}`;
    assert.deepEqual(
      insns.map((_, index) => formatInstruction(insns, index, { label })),
      ['if w1 s> -0x1 goto +0x3 <main+4>', 'gotol -0x2 <main+0>', 'may_goto +0x0 <main+3>', 'exit'],
    );
  });

  test('bytes that are no instruction print as <unknown>, losslessly as .quad', () => {
    const CASES: [string, string][] = [
      ['ff00000000000000', '.quad 0xff'],
      ['0701010005000000', '.quad 0x500010107'],
      ['d401000018000000', '.quad 0x18000001d4'],
      ['db21000078563412', '.quad 0x12345678000021db'],
      ['0000000000000000', '.quad 0x0'],
    ];
    for (const [bytes, quad] of CASES) {
      assert.equal(formatInstruction(insnsOf(bytes), 0), '<unknown>');
      assert.equal(formatInstruction(insnsOf(bytes), 0, { lossless: true }), quad);
    }
  });

  test('lossless text tells subprogram, kfunc and helper calls apart', () => {
    const label = (slot: number) => (slot === 3 ? 'sub' : undefined);
    const CASES = [
      [instruction(0x85, { imm: 2 }), 'call 0x2'],
      [instruction(0x85, { src: 1, imm: 2 }), 'call 0x2 <sub>'],
      [instruction(0x85, { src: 1, imm: 5 }), 'call 0x5 <pc+0x5>'],
      [instruction(0x85, { src: 2, imm: 5 }), 'call 0x5 <kfunc>'],
      [instruction(0x85, { src: 2, imm: 5, off: -3 }), 'call 0x5 <kfunc -0x3>'],
    ] as const;
    for (const [insn, text] of CASES) {
      assert.equal(formatInstruction([insn], 0, { label, lossless: true }), text);
      assert.deepEqual(assembleInstructions(text), [insn]);
    }
  });
});

describe('kernel text', () => {
  test('names of callees and 64-bit immediates come from callbacks', () => {
    const insns = insnsOf('850000000100000018210000050000000000000008000000');
    const options = { callName: () => 'bpf_map_lookup_elem', immediate: () => 'map[id:3][0]+8' };
    assert.equal(formatXlated(insns, 0, options), '(85) call bpf_map_lookup_elem#1');
    assert.equal(formatXlated(insns, 0), '(85) call unknown#1');
    assert.equal(formatXlated(insns, 1, options), '(18) r1 = map[id:3][0]+8');
  });

  test('what the kernel cannot print is BUG_xx', () => {
    assert.equal(formatXlated(insnsOf('8d03000000000000'), 0), 'BUG_8d');
    assert.equal(formatXlated(insnsOf('db21000078563412'), 0), 'BUG_db');
  });
});
