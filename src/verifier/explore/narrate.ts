import type { ErrnoName } from '../../errors.ts';
import { helperName } from '../../isa/helper-names.ts';
import { type Instruction, slots } from '../../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL } from '../../isa/opcodes.ts';
import { formatXlated } from '../../isa/xlated.ts';
import { type Env, Rejection } from '../env.ts';
import { frameText } from '../state/print.ts';

/**
 * The log of a verification as Linux writes it: each source line once, each instruction, and behind it the registers and
 * slots that it changed.
 */

/** Where the changed registers begin in a line (Linux: BPF_LOG_ALIGNMENT, BPF_LOG_MIN_ALIGNMENT). */
const ALIGNMENT = 40;
const STEP = 8;

const all = () => true;

/** What changed since it was last said, on the line of the instruction that did it. */
export function logState(env: Env): void {
  const { log } = env;
  if (!log.detailed || (env.scratchedRegs === 0 && env.scratchedSlots.size === 0)) return;
  const { frame } = env;
  const text = frameText(
    env.state,
    frame,
    (index) => (env.scratchedRegs & (1 << index)) !== 0,
    (slot) => env.scratchedRegs === -1 || isScratched(env, slot),
  );
  env.scratchedRegs = 0;
  env.scratchedSlots.clear();
  if (log.printedInsnAt === log.position && log.position > 0) {
    const line = log.unwrite().replace(/\n$/, '');
    const width = Math.max(line.length + 1 + STEP / 2, ALIGNMENT);
    log.write(`${line.padEnd(Math.ceil(width / STEP) * STEP - 2)};${text}\n`);
  } else log.write(`${env.at}:${text}\n`);
}

/** Linux notes the slot, not whose frame it is in: a store into a caller's shows the callee's. */
function isScratched({ scratchedSlots, state }: Env, slot: number): boolean {
  return state.frames.some((_, number) => scratchedSlots.has((number << 8) | slot));
}

export function callName(env: Env, insn: Instruction): string | undefined {
  if (insn.src === BPF_PSEUDO_KFUNC_CALL) return env.program.kernelBtf?.nameOf(insn.imm);
  const name = insn.imm === 0 ? 'unspec' : helperName(insn.imm);
  return name === undefined ? undefined : `bpf_${name}`;
}

export function logInstruction(env: Env): void {
  const { log, at } = env;
  if (env.fresh && log.all) {
    env.fresh = false;
    log.write(`\nfrom ${env.previous} to ${at}:${frameText(env.state, env.frame, all, all)}\n`);
  }
  logState(env);
  const source = env.program.sourceAt?.(at);
  if (source !== undefined && (source.line !== env.loggedLine?.line || source.file !== env.loggedLine.file)) {
    const name = source.file.slice(source.file.lastIndexOf('/') + 1);
    log.say(`; ${source.text.trim()} @ ${name}:${source.line}`);
    env.loggedLine = source;
  }
  log.write(`${at}: ${formatXlated(env.insns, at, { callName: (insn) => callName(env, insn) })}\n`);
  log.printedInsnAt = log.position;
}

/** Linux refuses without a word: what its log ends with is the instruction. @returns what to throw. */
export function rejectSilently(env: Env, code: ErrnoName): Rejection {
  const { at } = env;
  const line = `${at}: ${formatXlated(env.insns, at, { callName: (insn) => callName(env, insn) })}`;
  return env.log.detailed ? new Rejection(code, line, at) : env.reject(code, line);
}

/** What level 2 begins with: the functions, and the registers that are live before each instruction. */
export function logProgram(env: Env): void {
  const { log, insns } = env;
  if (!log.all) return;
  env.subprograms.forEach(({ start }, number) => {
    log.say(`func#${number} @${start}`);
  });
  log.say('Live regs before insn:');
  for (let at = 0; at < insns.length; at += slots(insns[at])) {
    const loop = env.components[at] === 0 ? '    ' : `${`${env.components[at]}`.padStart(3)} `;
    const live = Array.from({ length: 10 }, (_, i) => ((env.live[at] & (1 << i)) === 0 ? '.' : `${i}`)).join(
      '',
    );
    const text = formatXlated(insns, at, { callName: (insn) => callName(env, insn) });
    log.say(`${loop}${`${at}`.padStart(3)}: ${live} ${text}`);
  }
}

/** The path meets a state that was found safe. */
export function logPruned(env: Env): void {
  const { log } = env;
  if (!log.detailed) return;
  log.write(env.fresh ? `\nfrom ${env.previous} to ${env.at}: safe\n` : `${env.at}: safe\n`);
  env.scratchedRegs = -1;
}
