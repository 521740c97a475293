import type { CoreRelo, CoreResolver, CoreResult } from '../btf/index.ts';
import { BpfError, type ErrnoName } from '../errors.ts';
import { type Instruction, imm64, isLdImm64 } from '../isa/instruction.ts';
import { ACCESS_SIZES, opcode } from '../isa/opcodes.ts';
import type { LinkedProgram } from './link.ts';

/**
 * CO-RE: writes what a relocation comes to on the target into its instruction (libbpf: bpf_core_patch_insn). Where
 * nothing on the target fits, the instruction becomes a call that the verifier refuses, unless it is never reached.
 */

/** The helper number that libbpf uses for poisoned instructions; verifier logs show it. */
const POISON_CALL = 195_896_080;
const CALL = 0x85;
const SIZE_BITS = 0x18;

/** Patches a linked program in place. Throws EINVAL, ERANGE naming the relocation when an instruction does not fit. */
export function applyCoreRelos(program: LinkedProgram, resolver: CoreResolver): void {
  for (const [slot, relo] of program.coreRelos) {
    const refuse: Refuse = (problem, code = 'EINVAL') => {
      const what = `program '${program.name}', instruction ${slot}, CO-RE relocation ${describe(relo)}`;
      return new BpfError(code, `${what}: ${problem}`);
    };
    patch(program.insns, slot, resolver.resolve(relo), refuse);
  }
}

type Refuse = (problem: string, code?: ErrnoName) => BpfError;

function describe({ kind, type, access }: CoreRelo): string {
  return `<${kind}> of type ${type} at ${access}`;
}

function patch(insns: Instruction[], slot: number, result: CoreResult, refuse: Refuse): void {
  const insn = insns[slot];
  if (insn === undefined) throw refuse('the program has no such instruction');
  if (result.poison) {
    poison(insns, slot);
    return;
  }
  const row = opcode(insn.code);
  const { newValue } = result;
  switch (row?.kind) {
    case 'alu':
      if (row.source !== 'K') throw refuse('the instruction has no immediate');
      checkHolds(BigInt(insn.imm), result, refuse);
      insn.imm = Number(BigInt.asIntN(32, newValue));
      return;
    case 'load':
    case 'store':
    case 'atomic':
      patchAccess(insns, slot, result, refuse);
      return;
    case 'ld_imm64': {
      const next = insns[slot + 1];
      if (next === undefined || insn.src !== 0) throw refuse('ld_imm64 holds no number');
      checkHolds(imm64(insns, slot), result, refuse);
      insn.imm = Number(BigInt.asIntN(32, newValue));
      next.imm = Number(BigInt.asIntN(32, newValue >> 32n));
      return;
    }
    default:
      throw refuse(`${row?.name ?? 'this instruction'} cannot be relocated`);
  }
}

function patchAccess(insns: Instruction[], slot: number, result: CoreResult, refuse: Refuse): void {
  const insn = insns[slot];
  const { newValue, origSize, newSize } = result;
  checkHolds(BigInt(insn.off), result, refuse);
  if (newValue > 32_767n) throw refuse(`offset ${newValue} does not fit 16 bits`, 'ERANGE');
  if (result.failMemsizeAdjust) {
    poison(insns, slot);
    return;
  }
  if (origSize !== newSize) {
    const bits = (bytes: number) => ACCESS_SIZES.find(({ size }) => size === bytes)?.bits;
    if ((insn.code & SIZE_BITS) !== bits(origSize))
      throw refuse(`the instruction accesses other than the field's ${origSize} bytes`);
    const wanted = bits(newSize);
    if (wanted === undefined) throw refuse(`a field of ${newSize} bytes cannot be accessed at once`);
    insn.code = (insn.code & ~SIZE_BITS) | wanted;
  }
  insn.off = Number(newValue);
}

/** The instruction must hold what the compiler's own types say, except where the compiler had a choice. */
function checkHolds(found: bigint, { validate, origValue }: CoreResult, refuse: Refuse): void {
  if (!validate || BigInt.asUintN(64, found) === BigInt.asUintN(64, origValue)) return;
  throw refuse(`the instruction holds ${found}, its type information says ${origValue}`);
}

function poison(insns: Instruction[], slot: number): void {
  const slots = isLdImm64(insns[slot]) ? [slot, slot + 1] : [slot];
  for (const each of slots) insns[each] = { code: CALL, dst: 0, src: 0, off: 0, imm: POISON_CALL };
}
