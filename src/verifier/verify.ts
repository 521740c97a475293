import type { Instruction } from '../isa/instruction.ts';
import { BPF_PSEUDO_KFUNC_CALL } from '../isa/opcodes.ts';
import { callKinds } from './calls/call-kinds.ts';
import { argumentRegs } from './calls/global-arguments.ts';
import { helperArguments } from './calls/helper.ts';
import { checkDeviceKfuncs, kfuncArguments } from './calls/kfunc.ts';
import { Env, Rejection, Unsupported } from './env.ts';
import { UnsupportedProgram, VerifierError } from './errors.ts';
import { explore, MAX_PROCESSED } from './explore/explore.ts';
import { Ids } from './explore/ids.ts';
import { logProgram } from './explore/narrate.ts';
import { Facts } from './facts.ts';
import { checkAbnormalReturns } from './flow/abnormal-return.ts';
import { findComponents, findLoops } from './flow/components.ts';
import { checkDeadFunctions } from './flow/dead-functions.ts';
import { findExceptionCallback } from './flow/exceptions.ts';
import { withoutFastcalls } from './flow/fastcall.ts';
import { liveRegisters } from './flow/live-registers.ts';
import { findPoints } from './flow/points.ts';
import { checkStackDepth, finalDepths } from './flow/stack-depth.ts';
import { checkReachability, checkStructure } from './flow/structure.ts';
import { helperFor } from './helpers.ts';
import type { ProgramToVerify } from './input.ts';
import { LEVEL_1, LEVEL_2, LEVEL_STATS } from './log.ts';
import { checkMaps } from './map-compatibility.ts';
import { SEAL, VerifiedProgram } from './result.ts';
import { type ProgramRules, rulesFor } from './rules.ts';
import { pointer, type Reg } from './state/reg.ts';
import { State } from './state/state.ts';

/**
 * The door that every program passes before it runs: structure first, then every path is followed with what is known of
 * each register, and last the stack of call chains. Verdicts, messages and errnos are Linux's.
 */

/** Instructions that are gone through again for the log. What took longer is told by its reason alone. */
const MAX_REPEATED = 50_000;

/**
 * Verifies a program. Throws {@link VerifierError} with Linux's wording when it must not run (of several faults Linux's
 * first), with a log of level 1 at least where that did not take too long; {@link UnsupportedProgram} when it uses what
 * this verifier does not know: neither accepted nor refused.
 */
export function verify(program: ProgramToVerify): VerifiedProgram {
  const { logLevel = 0 } = program;
  if ((logLevel & (LEVEL_1 | LEVEL_2)) !== 0) return attempt(program);
  try {
    return attempt(program);
  } catch (error) {
    // The way to the fault is written down the second time: programs are seldom refused.
    if (error instanceof VerifierError && error.insnsProcessed <= MAX_REPEATED)
      attempt({ ...program, logLevel: logLevel | LEVEL_1 });
    throw error;
  }
}

/**
 * The last verification, without what makes it large. V8 throws optimised code away when a garbage collection finds no object
 * of a class that it was made for: one of each stays, or the next verification would start slow.
 */
const KEPT: { env?: Env; readonly ids: Ids } = { ids: new Ids() };

function keep(env: Env): void {
  const [first] = env.explored;
  env.explored.clear();
  if (first !== undefined) {
    const [state] = first[1];
    if (state !== undefined) state.visit = undefined;
    env.explored.set(first[0], first[1].slice(0, 1));
  }
  env.pending.length = Math.min(env.pending.length, 1);
  env.visits.clear();
  env.log.cutTo(0);
  KEPT.env = env;
}

function attempt(program: ProgramToVerify): VerifiedProgram {
  checkStructure(program);
  const rules = rulesFor(program);
  if (rules === undefined)
    throw new UnsupportedProgram(program, undefined, `${kindOf(program)} is not verified here`);
  const env = envOf(program, rules);
  const start = performance.now();
  try {
    env.exceptionCallback = findExceptionCallback(env);
    env.facts.exceptionCallback = env.exceptionCallback;
    if (env.exceptionCallback !== undefined) {
      env.callbacks.add(env.exceptionCallback);
      env.asyncCallbacks.add(env.exceptionCallback);
      env.globalCalls.add(env.exceptionCallback);
    }
    checkAbnormalReturns(env);
    checkDeviceKfuncs(env);
    checkMaps(env);
    checkReachability(program);
    exploreAll(env);
    checkStackDepth(env);
    checkDeadFunctions(env);
    conclude(env, start, finalDepths(env));
    return new VerifiedProgram(SEAL, program, env.facts, {
      log: env.log.text,
      insnsProcessed: env.processed,
      argumentsOf: argumentCounts(program),
    });
  } catch (error) {
    if (error instanceof Unsupported) throw new UnsupportedProgram(program, error.insn, error.message);
    if (!(error instanceof Rejection)) throw error;
    conclude(env, start, withoutFastcalls(env));
    throw new VerifierError(program, error.insn, error.message, error.code, env.log.text, env.processed);
  } finally {
    keep(env);
  }
}

/** A program's type as messages name it, with what tells those of the type apart. */
function kindOf({ type = 'syscall', attachType, attachTo }: ProgramToVerify): string {
  if (type !== 'tracing') return `program type ${type}`;
  if (attachType === 'trace_iter') return `program type tracing, iter/${attachTo}`;
  return attachType === 'trace_raw_tp'
    ? `program type tracing, tp_btf/${attachTo}`
    : `program type tracing (${attachType})`;
}

/** How many of r1 to r5 a helper or kfunc call of the program reads. */
function argumentCounts(program: ProgramToVerify): (insn: Instruction) => number {
  return (insn) =>
    insn.src === BPF_PSEUDO_KFUNC_CALL ? kfuncArguments(program, insn) : helperArguments(program, insn.imm);
}

function envOf(program: ProgramToVerify, rules: ProgramRules): Env {
  const { insns, subprograms, kernelBtf } = program;
  const callKind = callKinds(kernelBtf);
  const components = findComponents(insns);
  const argumentsRead = argumentCounts(program);
  const facts = new Facts(insns.length, subprograms.length);
  return new Env(program, rules, facts, {
    callKind,
    points: findPoints(insns, callKind),
    components,
    loops: findLoops(insns, components, callKind),
    live: liveRegisters(insns, argumentsRead),
    clobbers: (insn) => {
      const all = (1 << (argumentsRead(insn) + 1)) - 1;
      const helper = insn.src === BPF_PSEUDO_KFUNC_CALL ? undefined : helperFor(program, insn.imm);
      return helper?.returns === 'void' ? all & ~1 : all;
    },
  });
}

/** The entry function, then each global function that is called. Of what was found safe only level 2 keeps the log. */
function exploreAll(env: Env): void {
  const { log } = env;
  const done = new Set<number>();
  logProgram(env);
  begin(env, 0, [pointer('ctx')]);
  explore(env);
  if (!log.all) log.cutTo(0);
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
    if (!log.all) log.cutTo(0);
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
function conclude(env: Env, start: number, depths: readonly number[]): void {
  const { level } = env.log;
  if (level === 0) return;
  if ((level & LEVEL_STATS) !== 0) {
    env.say(`verification time ${Math.round((performance.now() - start) * 1e3)} usec`);
    env.say(`stack depth ${depths.join('+')}`);
  }
  const states = `max_states_per_insn ${env.maxStatesPerInsn} total_states ${env.totalStates}`;
  env.say(
    `processed ${env.processed} insns (limit ${MAX_PROCESSED}) ${states} peak_states ${env.totalStates} mark_read 0`,
  );
}
