import { type Instruction, jumpTarget, slots } from '../../isa/instruction.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL, BPF_REG_10, opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';

/**
 * Calls that leave most of r1 to r5 alone (clang: bpf_fastcall). For kernels that do not know of it, clang saves registers
 * around such calls, in stack slots used for nothing else; Linux takes those stores and loads out, and with them the slots
 * (mark_fastcall_patterns, remove_fastcall_spills_fills). Here only the stack's depth follows from it.
 */

/** Calls that the x86-64 JIT or the verifier replaces by instructions. */
const INLINED_HELPERS: readonly number[] = [/* get_smp_processor_id */ 8];
const INLINED_KFUNCS: readonly string[] = ['bpf_cast_to_kern_ctx', 'bpf_rdonly_cast'];

const SAVED = 0b111111;

interface Pattern {
  /** Offset below which the function only saves registers around calls; as long as nothing else reaches there. */
  from: number;
  /** Whether some of its saves stay: then all slots do. */
  keeps: boolean;
  removes: boolean;
}

const patterns = new WeakMap<Env, { readonly marks: Uint8Array; readonly functions: Pattern[] }>();

/** A register stored to or loaded from the function's own stack, whole. */
function isSave(insn: Instruction): boolean {
  const row = opcode(insn.code);
  return row?.kind === 'store' && row.source === 'X' && row.size === 8 && insn.dst === BPF_REG_10;
}

function isRestore(insn: Instruction): boolean {
  const row = opcode(insn.code);
  return row?.kind === 'load' && row.size === 8 && !row.signed && insn.src === BPF_REG_10;
}

function patternsOf(env: Env) {
  let found = patterns.get(env);
  if (found === undefined) {
    found = findPatterns(env);
    patterns.set(env, found);
  }
  return found;
}

function findPatterns(env: Env) {
  const { insns } = env;
  const marks = new Uint8Array(insns.length);
  const targets = new Uint8Array(insns.length + 1);
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const target = jumpTarget(insns[at], at);
    if (target !== undefined) targets[target] = 1;
  }
  const functions = env.subprograms.map(({ start, end }): Pattern => {
    const pattern: Pattern = { from: 0, keeps: false, removes: false };
    let lowest = 0;
    for (let at = start; at < end; at++)
      if (isSave(insns[at]) && insns[at].off < lowest) lowest = insns[at].off;
    for (let at = start; at < end; at++) {
      const insn = insns[at];
      if (opcode(insn.code)?.kind !== 'call' || insn.src === BPF_PSEUDO_CALL) continue;
      const left = SAVED & ~env.clobbers(insn);
      const count = saves(insns, targets, marks, at, lowest, left);
      if (count === 0) continue;
      if (isInlined(env, insn)) pattern.removes = true;
      else pattern.keeps = true;
      pattern.from = Math.min(pattern.from, lowest + 8 * count);
    }
    return pattern;
  });
  return { marks, functions };
}

/** Marks the stores before a call, and the loads behind it, that save registers which it leaves. @returns how many pairs. */
function saves(
  insns: readonly Instruction[],
  targets: Uint8Array,
  marks: Uint8Array,
  at: number,
  lowest: number,
  left: number,
): number {
  let wanted = left;
  let count = 0;
  for (let off = lowest; count < 6; off += 8) {
    const i = count + 1;
    if (at - i < 0 || at + i >= insns.length) break;
    if (targets[at - i + 1] === 1 || targets[at + i] === 1) break;
    const store = insns[at - i];
    const load = insns[at + i];
    if (!isSave(store) || !isRestore(load) || store.src !== load.dst) break;
    if ((wanted & (1 << store.src)) === 0 || store.off !== off || load.off !== off) break;
    wanted &= ~(1 << store.src);
    marks[at - i] = 1;
    marks[at + i] = 1;
    count++;
  }
  return count;
}

function isInlined(env: Env, insn: Instruction): boolean {
  if (insn.src === BPF_PSEUDO_KFUNC_CALL)
    return INLINED_KFUNCS.includes(env.program.kernelBtf?.nameOf(insn.imm) ?? '');
  return INLINED_HELPERS.includes(insn.imm);
}

/** An instruction reaches the stack of a function at `off` (Linux: check_fastcall_stack_contract). */
export function noteStackAccess(env: Env, subprog: number, off: number): void {
  const { marks, functions } = patternsOf(env);
  const pattern = functions[subprog];
  if (pattern.from <= off || marks[env.at] === 1) return;
  // Its saves serve something else too: they stay.
  functions[subprog] = { from: Number.NEGATIVE_INFINITY, keeps: true, removes: false };
  const { start, end } = env.subprograms[subprog];
  marks.fill(0, start, end);
}

/** The stack depth of each function once the saves are taken out, in bytes. */
export function withoutFastcalls(env: Env): number[] {
  const { functions } = patternsOf(env);
  return env.facts.stackDepth.map((depth, subprog) => {
    const { from, keeps, removes } = functions[subprog];
    return removes && !keeps ? -from : depth;
  });
}
