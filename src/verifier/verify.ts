import { BpfError, type ErrnoName } from '../errors.ts';
import { type Instruction, jumpTarget, slots, subprogramTarget } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL, opcode } from '../isa/opcodes.ts';
import { validateInstruction } from '../isa/validate.ts';
import { arenaOf } from './arena.ts';
import { callKinds } from './calls/call-kinds.ts';
import { argumentRegs } from './calls/global-arguments.ts';
import { helperArguments } from './calls/helper.ts';
import { kfuncArguments } from './calls/kfunc.ts';
import { Env, Rejection, Unsupported } from './env.ts';
import { explore, MAX_PROCESSED } from './explore/explore.ts';
import { logProgram } from './explore/narrate.ts';
import { Facts } from './facts.ts';
import { findComponents } from './flow/components.ts';
import { findExceptionCallback } from './flow/exceptions.ts';
import { withoutFastcalls } from './flow/fastcall.ts';
import { liveRegisters } from './flow/live-registers.ts';
import { findPoints } from './flow/points.ts';
import { checkStackDepth } from './flow/stack-depth.ts';
import type { ProgramToVerify } from './input.ts';
import { LEVEL_STATS } from './log.ts';
import { SEAL, VerifiedProgram } from './result.ts';
import { PROGRAM_RULES } from './rules.ts';
import { pointer, type Reg } from './state/reg.ts';
import { State } from './state/state.ts';

/**
 * The door that every program passes before it runs: structure first, then every path is followed with what is known of
 * each register, and last the stack of call chains. Verdicts, messages and errnos are Linux's.
 */

/** A program was rejected, by this verifier or by Linux's: the errno and message that BPF_PROG_LOAD gives. */
export class VerifierError extends BpfError {
  override name = 'VerifierError';
  readonly program: string;
  /** The slot of the offending instruction; undefined when the problem has no place. */
  readonly insn: number | undefined;
  /** The verifier's last line: what the message ends with. */
  readonly problem: string;
  /** The verifier's whole log. */
  readonly log: string;
  /** Instructions processed until it was found. */
  readonly insnsProcessed: number;

  constructor(
    program: Pick<ProgramToVerify, 'name' | 'sourceAt'>,
    insn: number | undefined,
    problem: string,
    code: ErrnoName = 'EINVAL',
    log = `${problem}\n`,
    insnsProcessed = 0,
  ) {
    super(code, `${placed(program, insn)}: ${problem}`);
    this.program = program.name;
    this.insn = insn;
    this.problem = problem;
    this.log = log;
    this.insnsProcessed = insnsProcessed;
  }
}

/** Faults that Linux sees before it follows any path (resolve_pseudo_ldimm64). */
const ALWAYS = /^(unknown opcode|BPF_LDX uses reserved fields|invalid bpf_ld_imm64 insn|unrecognized)/;

/**
 * Verifies a program. Throws {@link VerifierError} with Linux's wording when it must not run (of several faults Linux's
 * first), {@link UnsupportedProgram} when it uses what this verifier does not know: neither accepted nor refused.
 */
export function verify(program: ProgramToVerify): VerifiedProgram {
  checkStructure(program);
  const type = program.type ?? 'syscall';
  const rules = PROGRAM_RULES[type];
  if (rules === undefined)
    throw new UnsupportedProgram(program, undefined, `program type ${type} is not verified here`);
  const { insns, subprograms } = program;
  const facts = new Facts(insns.length, subprograms.length);
  const callKind = callKinds(program.kernelBtf);
  const argumentsRead = (insn: Instruction) =>
    insn.src === BPF_PSEUDO_KFUNC_CALL ? kfuncArguments(program.kernelBtf, insn) : helperArguments(insn.imm);
  const env = new Env(program, rules, facts, {
    callKind,
    points: findPoints(insns, callKind),
    components: findComponents(insns, callKind),
    live: liveRegisters(insns, argumentsRead),
    clobbers: (insn) => (1 << (argumentsRead(insn) + 1)) - 1,
  });
  const start = performance.now();
  try {
    env.exceptionCallback = findExceptionCallback(env);
    if (env.exceptionCallback !== undefined) {
      env.callbacks.add(env.exceptionCallback);
      env.asyncCallbacks.add(env.exceptionCallback);
      env.globalCalls.add(env.exceptionCallback);
    }
    arenaOf(env);
    exploreAll(env);
    checkStackDepth(env);
  } catch (error) {
    if (error instanceof Unsupported) throw new UnsupportedProgram(program, error.insn, error.message);
    if (!(error instanceof Rejection)) throw error;
    conclude(env, start);
    throw new VerifierError(program, error.insn, error.message, error.code, env.log.text, env.processed);
  }
  conclude(env, start);
  return new VerifiedProgram(SEAL, program, facts, env.log.text, env.processed);
}

/** The entry function, then each global function that is called. */
function exploreAll(env: Env): void {
  const done = new Set<number>();
  logProgram(env);
  begin(env, 0, [pointer('ctx')]);
  explore(env);
  for (;;) {
    const next = env.subprograms.findIndex((_, number) => env.globalCalls.has(number) && !done.has(number));
    if (next < 0) return;
    done.add(next);
    const { name } = env.subprograms[next];
    env.say(`Validating ${name}() func#${next}...`);
    const args = argumentRegs(env, next);
    begin(env, next, args);
    if (next === env.exceptionCallback) {
      env.frame.role = 'exception';
      if (args.length !== 1 || args[0].kind !== 'scalar')
        throw env.reject('EINVAL', 'exception cb only supports single integer argument', undefined);
    }
    explore(env);
    env.say(`Func#${next} ('${name}') is safe for any args that match its prototype`);
  }
}

function begin(env: Env, subprog: number, args: readonly Reg[]): void {
  const frame = env.newFrame(0, subprog, -1);
  args.forEach((reg, index) => {
    frame.regs[index + 1] = reg;
  });
  env.subprog = subprog;
  env.state = new State([frame]);
  env.state.sleepable = env.programSleeps;
  env.explored.clear();
  env.visits.clear();
  env.at = env.subprograms[subprog].start;
  env.previous = -1;
  env.state.firstInsn = env.at;
  env.scratchedRegs = -1;
}

/** The log's last lines. */
function conclude(env: Env, start: number): void {
  const { level } = env.log;
  if (level === 0) return;
  if ((level & LEVEL_STATS) !== 0) {
    env.say(`verification time ${Math.round((performance.now() - start) * 1e3)} usec`);
    env.say(`stack depth ${withoutFastcalls(env).join('+')}`);
  }
  const states = `max_states_per_insn ${env.maxStatesPerInsn} total_states ${env.totalStates}`;
  env.say(
    `processed ${env.processed} insns (limit ${MAX_PROCESSED}) ${states} peak_states ${env.totalStates} mark_read 0`,
  );
}

/** The program uses what this verifier does not know. */
export class UnsupportedProgram extends BpfError {
  override name = 'UnsupportedProgram';
  readonly insn: number | undefined;

  constructor(
    program: Pick<ProgramToVerify, 'name' | 'sourceAt'>,
    insn: number | undefined,
    problem: string,
  ) {
    super('EOPNOTSUPP', `${placed(program, insn)}: ${problem}`);
    this.insn = insn;
  }
}

/** Where in a program: `program 'f', instruction 3 (f.c:7: x = *p;)`. */
function placed(program: Pick<ProgramToVerify, 'name' | 'sourceAt'>, insn: number | undefined): string {
  const source = insn === undefined ? undefined : program.sourceAt?.(insn);
  const where = insn === undefined ? '' : `, instruction ${insn}`;
  const line = source === undefined ? '' : ` (${source.file}:${source.line}: ${source.text.trim()})`;
  return `program '${program.name}'${where}${line}`;
}

/** What can be judged without knowing what registers hold: the passes of Linux before do_check, in their order. */
function checkStructure(program: ProgramToVerify): void {
  const { insns, subprograms } = program;
  if (insns.length === 0) throw new VerifierError(program, 0, 'the program has no instructions', 'E2BIG');
  checkCalls(program);
  for (const { start, end } of subprograms) checkBounds(program, start, end);
  for (let index = 0; index < insns.length; index += slots(insns[index])) {
    const problem = validateInstruction(insns, index);
    // Other faults only matter where a path leads: see explore.
    if (problem !== undefined && ALWAYS.test(problem)) throw new VerifierError(program, index, problem);
  }
  for (const { start, end } of subprograms) checkReach(program, start, end);
}

/** Licences that Linux takes for GPL-compatible (include/linux/license.h). */
const GPL_COMPATIBLE: readonly string[] = [
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
];

/** Calls go to functions of the program, and to kfuncs only under a licence that allows it. */
function checkCalls(program: ProgramToVerify): void {
  const starts = new Set(program.subprograms.map(({ start }) => start));
  const { license = 'GPL' } = program;
  const compatible = GPL_COMPATIBLE.includes(license);
  program.insns.forEach((insn, index) => {
    if (!compatible && opcode(insn.code)?.kind === 'call' && insn.src === BPF_PSEUDO_KFUNC_CALL) {
      const advice = `its licence is '${license}': char LICENSE[] SEC("license") = "GPL"`;
      throw new VerifierError(
        program,
        index,
        `cannot call kernel function from non-GPL compatible program; ${advice}`,
      );
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
