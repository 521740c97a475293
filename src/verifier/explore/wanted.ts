import type { HistoryEntry } from '../state/state.ts';

/** What must be known precisely at some point of the way back, in each frame (Linux: `struct backtrack_state`). */

/** Registers and slots that are wanted, by frame. */
export class Wanted {
  frame = 0;
  readonly regs = new Int32Array(8);
  readonly low = new Int32Array(8);
  readonly high = new Int32Array(8);

  /** Nothing is wanted, from a frame on down. */
  reset(frame: number): this {
    this.frame = frame;
    this.regs.fill(0);
    this.low.fill(0);
    this.high.fill(0);
    return this;
  }

  get empty(): boolean {
    for (let i = 0; i <= this.frame; i++) if ((this.regs[i] | this.low[i] | this.high[i]) !== 0) return false;
    return true;
  }

  hasReg(reg: number, frame = this.frame): boolean {
    return (this.regs[frame] & (1 << reg)) !== 0;
  }

  addReg(reg: number, frame = this.frame): void {
    this.regs[frame] |= 1 << reg;
  }

  dropReg(reg: number, frame = this.frame): void {
    this.regs[frame] &= ~(1 << reg);
  }

  hasSlot(slot: number, frame: number): boolean {
    return ((slot < 32 ? this.low[frame] : this.high[frame]) & (1 << (slot & 31))) !== 0;
  }

  addSlot(slot: number, frame: number): void {
    (slot < 32 ? this.low : this.high)[frame] |= 1 << (slot & 31);
  }

  dropSlot(slot: number, frame: number): void {
    (slot < 32 ? this.low : this.high)[frame] &= ~(1 << (slot & 31));
  }

  /** Where one of some linked registers is wanted, all are. */
  sync(entry: HistoryEntry | undefined): void {
    if (entry === undefined || entry.linked.length === 0) return;
    const some = entry.linked.some((link) =>
      (link & 0x80) !== 0 ? this.hasSlot(link & 0x7f, link >> 8) : this.hasReg(link & 0x7f, link >> 8),
    );
    if (!some) return;
    for (const link of entry.linked) {
      if ((link & 0x80) !== 0) this.addSlot(link & 0x7f, link >> 8);
      else this.addReg(link & 0x7f, link >> 8);
    }
  }
}
