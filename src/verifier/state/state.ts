import { framePointer, NOT_INIT, type Reg } from './reg.ts';
import type { StackSlot } from './slot.ts';

/**
 * The state of a path through the program (Linux: `struct bpf_verifier_state`): frames with registers and stack, what
 * must still be released, which regions are open. A state is copied at branches and checkpoints; copies share all
 * registers and slots.
 */

/** Something that is held: to be released before the program ends. */
export interface Held {
  readonly type: 'ptr' | 'lock' | 'res_lock' | 'res_lock_irq' | 'irq';
  readonly id: number;
  /** Where it was acquired. */
  readonly insn: number;
  /** Of a lock: the map or type that it is in. */
  readonly lock: unknown;
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
}

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
  /** Set in the frame that a callback runs in. */
  callback: 'sync' | 'async' | 'exception' | undefined;
  /** The range that a callback must return. */
  callbackReturn: readonly [number, number] | undefined;
  /** How many callbacks this frame is inside its caller's loop. */
  callbackDepth = 0;
  asyncEntry = 0;
  /** Bits of slots that were written (since the state's checkpoint), or will be read (from it on): low and high 32. */
  writtenLow = 0;
  writtenHigh = 0;
  readLow = 0;
  readHigh = 0;

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
    copy.callback = this.callback;
    copy.callbackReturn = this.callbackReturn;
    copy.callbackDepth = this.callbackDepth;
    copy.asyncEntry = this.asyncEntry;
    copy.writtenLow = this.writtenLow;
    copy.writtenHigh = this.writtenHigh;
    copy.readLow = this.readLow;
    copy.readHigh = this.readHigh;
    return copy;
  }
}

export class State {
  frames: Frame[];
  held: readonly Held[] = [];
  activeLocks = 0;
  /** Which lock is held: its id and map or type. */
  activeLockId = 0;
  activeLock: unknown;
  activePreempt = 0;
  activeRcu = 0;
  activeIrq = 0;
  inSleepable = false;
  mayGotoDepth = 0;
  callbackUnrollDepth = 0;
  /** Checkpoint that this path came through last. */
  parent: State | undefined;
  /** Paths from here that are not finished. */
  branches = 1;
  insn = 0;
  firstInsn = 0;
  lastInsn = 0;
  dfsDepth = 0;
  history: HistoryEntry[] = [];
  /** Of a copy that was pruned inside a loop: the checkpoint it equalled. */
  equal: State | undefined;
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
    copy.activeLocks = this.activeLocks;
    copy.activeLockId = this.activeLockId;
    copy.activeLock = this.activeLock;
    copy.activePreempt = this.activePreempt;
    copy.activeRcu = this.activeRcu;
    copy.activeIrq = this.activeIrq;
    copy.inSleepable = this.inSleepable;
    copy.mayGotoDepth = this.mayGotoDepth;
    copy.callbackUnrollDepth = this.callbackUnrollDepth;
    copy.parent = this.parent;
    copy.insn = this.insn;
    copy.firstInsn = this.firstInsn;
    copy.lastInsn = this.lastInsn;
    copy.dfsDepth = this.dfsDepth;
    copy.history = this.history.slice();
    return copy;
  }
}
