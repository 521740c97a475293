import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { embeddedBtf } from '../embedded/btf.ts';
import { assembleInstructions } from '../isa/assembler.ts';
import { decode, type Instruction } from '../isa/instruction.ts';
import { VerifierError } from './errors.ts';
import { functionsOf } from './functions.ts';
import { VerifiedProgram } from './result.ts';
import { verify } from './verify.ts';

/** Structure: what is refused without knowing what registers hold, with the errno and words of Linux 6.18. */

interface StructureCase {
  name: string;
  /** Slots in hex. */
  insns: string[];
  /** Absent: accepted. */
  errno?: string;
  message?: string;
}

const cases: StructureCase[] = JSON.parse(
  readFileSync(new URL('testdata/structure.json', import.meta.url), 'utf8'),
);

/** Slots one by one: some cases end in half an instruction. */
function decodeSlots(slots: readonly string[]): Instruction[] {
  const bytes = Uint8Array.from(Buffer.from(slots.join(''), 'hex'));
  return slots.map((_, i) => {
    const slot = bytes.slice(8 * i, 8 * i + 8);
    return slot[0] === 0x18
      ? { ...decode(Uint8Array.of(0, ...slot.slice(1)))[0], code: 0x18 }
      : decode(slot)[0];
  });
}

const programOf = (insns: Instruction[], name = 'program') => ({
  name,
  insns,
  subprograms: functionsOf(insns),
});

const kernelBtf = embeddedBtf();

describe('structure', () => {
  for (const { name, insns, errno, message } of cases) {
    it(`${name}: ${message ?? 'accepted'}`, () => {
      const program = programOf(decodeSlots(insns));
      if (errno === undefined) assert.ok(verify(program) instanceof VerifiedProgram);
      else assert.throws(() => verify(program), { code: errno, problem: message });
    });
  }

  it('kfuncs are for programs under a GPL-compatible licence', () => {
    const program = (license: string) => ({
      name: 'f',
      insns: assembleInstructions('call 5; r0 = 0; exit').map((insn) =>
        insn.imm === 5 ? { ...insn, src: 2, imm: kernelBtf.idOf('bpf_arena_free_pages', 'func') ?? 0 } : insn,
      ),
      subprograms: [{ name: 'f', start: 0, end: 3 }],
      kernelBtf,
      license,
    });
    // Past the licence, its arguments are looked at.
    for (const license of ['GPL', 'Dual BSD/GPL'])
      assert.throws(() => verify(program(license)), { message: /pointer in R1 isn't map pointer/ });
    for (const license of ['', 'MIT', 'GPL v3']) {
      const problem = 'cannot call kernel function from non-GPL compatible program';
      assert.throws(() => verify(program(license)), { code: 'EINVAL', problem });
    }
  });

  it('a program without instructions is refused', () => {
    const program = { name: 'none', insns: [], subprograms: [] };
    assert.throws(() => verify(program), { code: 'E2BIG' });
  });
});

it('an error names the program, the instruction and its source line', () => {
  const insns = decodeSlots(['b700000000000000', '0500050000000000', '9500000000000000']);
  const sourceAt = () => ({ file: 'list.bpf.c', line: 7, column: 2, text: '  goto out;' });
  assert.throws(
    () => verify({ ...programOf(insns, 'walk'), sourceAt }),
    (error) =>
      error instanceof VerifierError &&
      error.insn === 1 &&
      error.program === 'walk' &&
      error.message ===
        "program 'walk', instruction 1 (list.bpf.c:7: goto out;): jump out of range from insn 1 to 7",
  );
});

it('nobody but the verifier makes a verified program', () => {
  const Forged = VerifiedProgram as unknown as new (key: symbol, program: object) => VerifiedProgram;
  assert.throws(() => new Forged(Symbol('verified'), programOf([])), TypeError);
});
