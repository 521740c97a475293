import type { CoreRelo, CoreResolver, CoreResult } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { type Instruction, isLdImm64 } from '../isa/instruction.ts';
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

/** Patches a linked program in place. Throws EINVAL, ERANGE with the source line when an instruction does not fit. */
export function applyCoreRelos(program: LinkedProgram, resolver: CoreResolver): void {
  for (const [slot, relo] of program.coreRelos) {
    const result = resolver.resolve(relo);
    const problem = patch(program.insns, slot, result);
    if (problem === undefined) continue;
    const what = `program '${program.name}', instruction ${slot}, CO-RE relocation ${describe(relo)}`;
    throw new BpfError('EINVAL', `${what}: ${problem}`);
  }
}

function describe({ kind, type, access }: CoreRelo): string {
  return `<${kind}> of type ${type} at ${access}`;
}

function patch(insns: Instruction[], slot: number, result: CoreResult): string | undefined {
  const insn = insns[slot];
  if (insn === undefined) return 'the program has no such instruction';
  if (result.poison) return poison(insns, slot);
  const row = opcode(insn.code);
  const { origValue, newValue } = result;
  switch (row?.kind) {
    case 'alu':
      if (row.source !== 'K') return 'the instruction has no immediate';
      if (result.validate && BigInt(insn.imm >>> 0) !== BigInt.asUintN(32, origValue))
        return unexpected(insn.imm, origValue);
      insn.imm = Number(BigInt.asIntN(32, newValue));
      return undefined;
    case 'load':
    case 'store':
      return patchAccess(insns, slot, result);
    case 'ld_imm64':
      if (!isLdImm64(insn) || insns[slot + 1] === undefined) return 'ld_imm64 lacks its second slot';
      insn.imm = Number(BigInt.asIntN(32, newValue));
      insns[slot + 1].imm = Number(BigInt.asIntN(32, newValue >> 32n));
      return undefined;
    default:
      return `${row?.name ?? 'this instruction'} cannot be relocated`;
  }
}

function patchAccess(insns: Instruction[], slot: number, result: CoreResult): string | undefined {
  const insn = insns[slot];
  const { origValue, newValue, origSize, newSize } = result;
  if (result.validate && BigInt(insn.off) !== origValue) return unexpected(insn.off, origValue);
  if (newValue > 32_767n) return `offset ${newValue} does not fit 16 bits`;
  if (result.failMemsizeAdjust) return poison(insns, slot);
  if (origSize !== newSize) {
    const size = ACCESS_SIZES.find((each) => each.size === newSize);
    if (size === undefined) return `a field of ${newSize} bytes cannot be read at once`;
    insn.code = (insn.code & ~SIZE_BITS) | size.bits;
  }
  insn.off = Number(newValue);
  return undefined;
}

function unexpected(found: number, expected: bigint): string {
  return `the instruction holds ${found}, its type information says ${expected}`;
}

function poison(insns: Instruction[], slot: number): undefined {
  const slots = isLdImm64(insns[slot]) ? [slot, slot + 1] : [slot];
  for (const each of slots) insns[each] = { code: CALL, dst: 0, src: 0, off: 0, imm: POISON_CALL };
  return undefined;
}
