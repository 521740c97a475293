import type { ErrnoName } from '../errors.ts';
import type { Instruction } from '../isa/instruction.ts';
import type { SourceLine } from '../object/link.ts';
import type { CallKindOf } from './calls/call-kinds.ts';
import type { ComponentVisit } from './explore/loops.ts';
import type { Facts } from './facts.ts';
import type { Points } from './flow/points.ts';
import type { MapInfo, ProgramFunction, ProgramToVerify } from './input.ts';
import { Log, type LogMark } from './log.ts';
import type { ProgramRules } from './rules.ts';
import type { Reg } from './state/reg.ts';
import { Frame, State } from './state/state.ts';

/**
 * One verification under way (Linux: `struct bpf_verifier_env`): the program, the state of the path that is followed, the
 * branches that wait. Every check gets it as its first argument. A check that fails throws a {@link Rejection}.
 */

/** The program is refused. The line is already in the log. */
export class Rejection extends Error {
  override name = 'Rejection';
  readonly code: ErrnoName;
  /** The slot at which it was found. */
  readonly insn: number | undefined;

  constructor(code: ErrnoName, message: string, insn: number | undefined) {
    super(message);
    this.code = code;
    this.insn = insn;
  }
}

/** The program uses what this verifier does not know: neither accepted nor refused. */
export class Unsupported extends Error {
  override name = 'Unsupported';
  readonly insn: number | undefined;

  constructor(message: string, insn?: number) {
    super(message);
    this.insn = insn;
  }
}

/** A path to be followed later. */
export interface Branch {
  readonly state: State;
  readonly insn: number;
  readonly previous: number;
  readonly logMark: LogMark;
}

/** What is known of control flow before exploration. */
export interface Flow {
  readonly points: Points;
  readonly components: Int32Array;
  readonly loops: Int32Array;
  readonly live: Uint16Array;
  readonly callKind: CallKindOf;
  /** What a helper or kfunc call leaves unusable of r0 to r5, as bits, by its prototype. */
  readonly clobbers: (insn: Instruction) => number;
}

export class Env {
  readonly program: ProgramToVerify;
  readonly insns: readonly Instruction[];
  readonly subprograms: readonly ProgramFunction[];
  readonly rules: ProgramRules;
  readonly log: Log;
  readonly facts: Facts;
  /** The path being followed. */
  state: State;
  /** The instruction being checked, and the one before it on this path. */
  at = 0;
  previous = 0;
  /** Length of the path's history when this instruction was noted in it; −1 when it was not. */
  historyAt = -1;
  /** Instructions processed so far, over all paths. */
  processed = 0;
  readonly pending: Branch[] = [];
  /** Registers and slots that changed since the state was printed last: bits per register, and slots by frame. */
  scratchedRegs = 0;
  readonly scratchedSlots = new Set<number>();
  /** Another path was taken up, or a function came back: the log is to say where, and all of the state. */
  fresh = false;
  /** Special places, loops, and live registers of the program, found before exploration. */
  readonly points: Points;
  readonly components: Int32Array;
  /** Components, and calls that call back. */
  readonly loops: Int32Array;
  readonly live: Uint16Array;
  /** What an instruction calls. */
  readonly callKind: CallKindOf;
  readonly clobbers: (insn: Instruction) => number;
  /** The function that makes the result when an exception leaves the program. */
  exceptionCallback: number | undefined;
  /** Checkpoints by instruction and by the call that led into the function: see {@link checkpointsAt}. */
  readonly explored = new Map<number, State[]>();
  readonly visits = new Map<string, ComponentVisit>();
  jumpsProcessed = 0;
  jumpsAtCheckpoint = 0;
  processedAtCheckpoint = 0;
  totalStates = 0;
  maxStatesPerInsn = 0;
  /** The source line that was logged last. */
  loggedLine: SourceLine | undefined;
  /** Global functions that were called: each is to be verified by itself. */
  readonly globalCalls = new Set<number>();
  /** Functions that are called back, and those of them that are later (Linux: is_cb, is_async_cb). */
  readonly callbacks = new Set<number>();
  readonly asyncCallbacks = new Set<number>();
  /** The function whose verification this is: 0, or a global one. */
  subprog = 0;
  #lastId = 0;
  #lastSerial = 0;

  constructor(program: ProgramToVerify, rules: ProgramRules, facts: Facts, flow: Flow) {
    this.program = program;
    this.insns = program.insns;
    this.subprograms = program.subprograms;
    this.rules = rules;
    this.facts = facts;
    this.points = flow.points;
    this.components = flow.components;
    this.loops = flow.loops;
    this.live = flow.live;
    this.callKind = flow.callKind;
    this.clobbers = flow.clobbers;
    this.state = new State([]);
    this.log = new Log(program.logLevel ?? 0);
  }

  /** A number that no register has yet, for `id` and `refId`. */
  newId(): number {
    return ++this.#lastId;
  }

  /**
   * The list of checkpoints at an instruction that a state may be compared with. States of other calls are kept apart, and
   * count neither as visits nor as loops (Linux: explored_state).
   */
  checkpointsAt({ frame: { callsite } }: State, insn: number): State[] {
    const key = insn + (callsite + 1) * this.insns.length;
    let states = this.explored.get(key);
    if (states === undefined) {
      states = [];
      this.explored.set(key, states);
    }
    return states;
  }

  newFrame(number: number, subprog: number, callsite: number): Frame {
    return new Frame(number, subprog, callsite, ++this.#lastSerial);
  }

  /** May the code at hand sleep, as far as the program and its callbacks decide it (Linux: in_sleepable)? */
  get sleepable(): boolean {
    return this.state.sleepable;
  }

  /** May the program itself sleep? */
  get programSleeps(): boolean {
    return (this.program.type ?? 'syscall') === 'syscall' || this.program.sleepable === true;
  }

  get frame(): Frame {
    const { frames } = this.state;
    return frames[frames.length - 1];
  }

  reg(number: number): Reg {
    return this.frame.regs[number];
  }

  /** Puts a value into a register of the current frame. */
  setReg(number: number, reg: Reg): void {
    this.frame.regs[number] = reg;
    this.scratchedRegs |= 1 << number;
  }

  /** Writes a line into the log. */
  say(line: string): void {
    this.log.say(line);
  }

  /** Writes the reason into the log. @returns what to throw. */
  reject(code: ErrnoName, message: string, insn: number | undefined = this.at): Rejection {
    this.log.say(message);
    return new Rejection(code, message, insn);
  }

  unsupported(message: string): Unsupported {
    return new Unsupported(message, this.at);
  }

  mapOf(insn: Instruction): MapInfo {
    const map = this.program.map?.(insn.imm);
    if (map === undefined) throw this.reject('EBADF', `fd ${insn.imm} is not pointing to valid bpf_map`);
    return map;
  }

  /**
   * Changes every register and spilled register of the current state (Linux: bpf_for_each_reg_in_vstate).
   * @param change gives the register's new value, or the same when it stays.
   */
  eachReg(change: (reg: Reg) => Reg): void {
    eachReg(this.state, change);
  }
}

/** See {@link Env.eachReg}. */
export function eachReg(state: State, change: (reg: Reg) => Reg): void {
  for (const frame of state.frames) {
    for (let i = 0; i < frame.regs.length; i++) frame.regs[i] = change(frame.regs[i]);
    for (let i = 0; i < frame.stack.length; i++) {
      const slot = frame.stack[i];
      if (slot?.isSpill && slot.reg !== undefined) frame.stack[i] = slot.withReg(change(slot.reg));
    }
  }
}
