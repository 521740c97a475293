import { jumpTarget, slots, subprogramTarget } from '../../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, opcode } from '../../isa/opcodes.ts';
import { validateInstruction } from '../../isa/validate.ts';
import { VerifierError } from '../errors.ts';
import type { ProgramToVerify } from '../input.ts';
import { isGplCompatible } from '../license.ts';

/** Faults that Linux sees before it follows any path (resolve_pseudo_ldimm64). */
const ALWAYS = /^(unknown opcode|BPF_LDX uses reserved fields|invalid bpf_ld_imm64 insn|unrecognized)/;

/** What can be judged without knowing what registers hold: the passes of Linux before do_check, in their order. */
export function checkStructure(program: ProgramToVerify): void {
  const { insns, subprograms } = program;
  if (insns.length === 0) throw new VerifierError(program, 0, 'the program has no instructions', 'E2BIG');
  checkCalls(program);
  for (const { start, end } of subprograms) checkBounds(program, start, end);
  for (let index = 0; index < insns.length; index += slots(insns[index])) {
    const problem = validateInstruction(insns, index);
    // Other faults only matter where a path leads: see explore.
    if (problem !== undefined && ALWAYS.test(problem)) throw new VerifierError(program, index, problem);
  }
}

/** What is judged once the maps are known: every instruction is reached (Linux: check_cfg). */
export function checkReachability(program: ProgramToVerify): void {
  for (const { start, end } of program.subprograms) checkReach(program, start, end);
}

/** Calls go to functions of the program, and to kfuncs only under a licence that allows it. */
function checkCalls(program: ProgramToVerify): void {
  const starts = new Set(program.subprograms.map(({ start }) => start));
  const compatible = isGplCompatible(program.license);
  program.insns.forEach((insn, index) => {
    if (!compatible && opcode(insn.code)?.kind === 'call' && insn.src === BPF_PSEUDO_KFUNC_CALL) {
      const problem = 'cannot call kernel function from non-GPL compatible program';
      throw new VerifierError(program, index, problem);
    }
    const target = subprogramTarget(insn, index);
    if (target !== undefined && !starts.has(target)) {
      throw new VerifierError(program, index, 'call to invalid destination');
    }
  });
}

/** Jumps stay inside the function, and nothing falls out of its end. */
function checkBounds(program: ProgramToVerify, start: number, end: number): void {
  const { insns } = program;
  for (let index = start; index < end; index++) {
    const target = jumpTarget(insns[index], index);
    if (target === undefined || (target >= start && target < end)) continue;
    // Linux counts in 32 bits.
    throw new VerifierError(program, index, `jump out of range from insn ${index} to ${target | 0}`);
  }
  const kind = opcode(insns[end - 1].code)?.kind;
  if (kind !== 'exit' && kind !== 'goto') {
    throw new VerifierError(program, end - 1, 'last insn is not an exit or jmp');
  }
}

/** Every instruction of the function is reached, and none in its middle. */
function checkReach(program: ProgramToVerify, start: number, end: number): void {
  const { insns } = program;
  const reached = new Uint8Array(end - start);
  const pending = [start];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (reached[index - start] !== 0) continue;
    reached[index - start] = 1;
    const insn = insns[index];
    const kind = opcode(insn.code)?.kind;
    if (kind === 'exit') continue;
    const target = jumpTarget(insn, index);
    if (target !== undefined) pending.push(target);
    if (kind !== 'goto') pending.push(index + slots(insn));
  }
  for (let index = start; index < end; index += slots(insns[index])) {
    if (reached[index - start] === 0) throw new VerifierError(program, index, `unreachable insn ${index}`);
    if (slots(insns[index]) === 2 && reached[index + 1 - start] !== 0) {
      throw new VerifierError(program, index, `jump into the middle of ldimm64 insn ${index}`);
    }
  }
}
