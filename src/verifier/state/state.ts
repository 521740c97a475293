import type { ComponentVisit } from '../explore/loops.ts';
import { framePointer, NOT_INIT, type Reg } from './reg.ts';
import type { StackSlot } from './slot.ts';

/**
 * The state of a path through the program (Linux: `struct bpf_verifier_state`): frames with registers and stack, what
 * must still be released, which regions are open. A state is copied at branches and checkpoints; copies share all
 * registers and slots.
 */

/** Something that is held: to be released before the program ends. */
export interface Held {
  readonly type: 'ptr' | 'irq' | 'lock' | 'res_lock' | 'res_lock_irq';
  readonly id: number;
  /** Where it was acquired. */
  readonly insn: number;
  /** Of a lock: the map or the types that its value belongs to; `id` tells values apart. */
  readonly owner?: object;
}

/** One step of the way to a state, newest last: for going backwards when a value must be known precisely. */
export interface HistoryEntry {
  readonly insn: number;
  readonly previous: number;
  /** Of a stack access: its frame and slot, else −1. */
  readonly frame: number;
  readonly slot: number;
  /** Registers and slots (frame << 8 | index, slots from 16 on) whose range followed from an equal scalar; empty mostly. */
  readonly linked: readonly number[];
  /** Of a comparison: which of its registers points to a stack, {@link STACK_DST} and {@link STACK_SRC}. */
  readonly stackRegs: number;
}

/** A register that points to a stack is known as it is (Linux: INSN_F_DST_REG_STACK, INSN_F_SRC_REG_STACK). */
export const STACK_DST = 1;
export const STACK_SRC = 2;

/**
 * How a function was entered (Linux: in_callback_fn and its neighbours): by a call, by a helper that calls back, later and on
 * a stack of its own, or by an exception. The program itself and global functions are called.
 */
export type FrameRole = 'called' | 'callback' | 'async' | 'exception';

export class Frame {
  readonly number: number;
  readonly subprog: number;
  /** The call instruction in the caller; −1 for the program itself. */
  readonly callsite: number;
  readonly regs: Reg[];
  /** Slot 0 is the eight bytes below the frame pointer. */
  stack: (StackSlot | undefined)[] = [];
  /** Frames of one entry into a function share it; tells one at the same depth from another. */
  readonly serial: number;
  /** Bits of slots that were written (since the state's checkpoint), or will be read (from it on): low and high 32. */
  writtenLow = 0;
  writtenHigh = 0;
  readLow = 0;
  readHigh = 0;
  role: FrameRole = 'called';
  /** Of a callback: what it may return. */
  returns: readonly [number, number] = [0, 0];
  /** Times that the call at hand has entered its callback. */
  callbackDepth = 0;
  /** Of an asynchronous callback: how many led to this one, itself included. */
  asyncEntries = 0;

  constructor(number: number, subprog: number, callsite: number, serial: number, regs?: Reg[]) {
    this.number = number;
    this.subprog = subprog;
    this.callsite = callsite;
    this.serial = serial;
    this.regs = regs ?? [...new Array<Reg>(10).fill(NOT_INIT), framePointer(number)];
  }

  /** A copy with marks of its own: nothing written, nothing read. */
  copy(): Frame {
    const copy = new Frame(this.number, this.subprog, this.callsite, this.serial, this.regs.slice());
    copy.stack = this.stack.slice();
    copy.writtenLow = this.writtenLow;
    copy.writtenHigh = this.writtenHigh;
    copy.readLow = this.readLow;
    copy.readHigh = this.readHigh;
    copy.role = this.role;
    copy.returns = this.returns;
    copy.callbackDepth = this.callbackDepth;
    copy.asyncEntries = this.asyncEntries;
    return copy;
  }
}

export class State {
  frames: Frame[];
  held: readonly Held[] = [];
  /** Open RCU read sections and sections without preemption: how many. */
  rcuLocks = 0;
  preemptLocks = 0;
  /** The interrupt state that was saved last and not restored; 0 for none. */
  irqId = 0;
  mayGotoDepth = 0;
  /** Callbacks entered on the way here. */
  callbackUnrollDepth = 0;
  /** Whether the code at hand may sleep: asynchronous callbacks differ from the program that starts them. */
  sleepable = false;
  /** Checkpoint that this path came through last. */
  parent: State | undefined;
  /** Paths from here that are not finished. */
  branches = 1;
  insn = 0;
  firstInsn = 0;
  lastInsn = 0;
  dfsDepth = 0;
  history: HistoryEntry[] = [];
  /** Of a checkpoint: the loop that it is in. */
  visit: ComponentVisit | undefined;
  /** Grows with each register and slot of a checkpoint that turns out to be needed, precisely or at all. */
  needs = 0;
  /** Of a path that ended inside a loop: the checkpoint it equalled. */
  equal: State | undefined;
  /** The needs of `equal` that were passed on to it; −1: none yet. */
  passed = -1;
  /** Hits and misses as a checkpoint. */
  hits = 0;
  misses = 0;

  constructor(frames: Frame[]) {
    this.frames = frames;
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1];
  }

  get depth(): number {
    return this.frames.length - 1;
  }

  /** Everything but the links to other states. */
  copy(): State {
    const copy = new State(this.frames.map((frame) => frame.copy()));
    copy.held = this.held;
    copy.rcuLocks = this.rcuLocks;
    copy.preemptLocks = this.preemptLocks;
    copy.irqId = this.irqId;
    copy.mayGotoDepth = this.mayGotoDepth;
    copy.callbackUnrollDepth = this.callbackUnrollDepth;
    copy.sleepable = this.sleepable;
    copy.parent = this.parent;
    copy.insn = this.insn;
    copy.firstInsn = this.firstInsn;
    copy.lastInsn = this.lastInsn;
    copy.dfsDepth = this.dfsDepth;
    copy.history = this.history.slice();
    return copy;
  }
}

/** Whether two states are in the same functions, entered by the same calls (Linux: same_callsites). */
export function sameCalls(a: State, b: State): boolean {
  return a.depth === b.depth && a.frames.every((frame, i) => frame.callsite === b.frames[i].callsite);
}
