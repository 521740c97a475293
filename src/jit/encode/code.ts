import { Bytes } from './bytes.ts';
import { ATOMIC_PREFIX, MISC_PREFIX, OP, TABLE_SIZE, TYPE, type ValueType } from './opcodes.ts';

/**
 * The body of one function while it is written: its instructions, its locals, and the nesting of its control structures,
 * so that a branch names the structure it leaves and not a distance. It knows WebAssembly and no BPF.
 */

/** A control structure that is open: what a branch to it counts from. */
export type Label = number & { readonly __label: unique symbol };

/** The two memories of a module. */
export const ARENA_MEMORY = 0;
export const KERNEL_MEMORY = 1;
export type MemoryIndex = typeof ARENA_MEMORY | typeof KERNEL_MEMORY;

export class Code {
  readonly bytes: Bytes;
  readonly locals: ValueType[] = [];
  /** Byte offset within the body, BPF instruction, alternating, in ascending order; {@link positionCount} of each. */
  positions: Uint32Array;
  positionCount = 0;
  /** Byte offset of a br_if or if within the body, 1 when it is likely, alternating. */
  readonly hints: number[] = [];
  readonly #parameters: number;
  readonly #temporaries = new Map<number, number>();
  #depth = 0;

  /** @param parameters how many locals are parameters. @param expected about how many bytes it will have. */
  constructor(parameters: number, expected = 1024) {
    this.#parameters = parameters;
    this.bytes = new Bytes(expected);
    this.positions = new Uint32Array(Math.max(64, expected >> 3));
  }

  /** A new local. @returns its index. */
  local(type: ValueType): number {
    return this.#parameters + this.locals.push(type) - 1;
  }

  /**
   * A local for what lives no longer than one instruction: the same one each time, since locals take stack.
   * @param which of those that live at once.
   */
  temporary(type: ValueType, which = 0): number {
    const key = which * 256 + type;
    let local = this.#temporaries.get(key);
    if (local === undefined) {
      local = this.local(type);
      this.#temporaries.set(key, local);
    }
    return local;
  }

  /** Locals, parameters among them. */
  get localCount(): number {
    return this.#parameters + this.locals.length;
  }

  /** What follows belongs to this BPF instruction. */
  position(insn: number): void {
    const at = 2 * this.positionCount++;
    if (at === this.positions.length) {
      const more = new Uint32Array(2 * at);
      more.set(this.positions);
      this.positions = more;
    }
    this.positions[at] = this.bytes.length;
    this.positions[at + 1] = insn;
  }

  op(opcode: number): void {
    this.bytes.byte(opcode);
  }

  get(local: number): void {
    this.#numbered(OP.local_get, local);
  }

  set(local: number): void {
    this.#numbered(OP.local_set, local);
  }

  tee(local: number): void {
    this.#numbered(OP.local_tee, local);
  }

  /** An instruction with an unsigned number. */
  #numbered(opcode: number, number: number): void {
    if (number < 0x80) {
      this.bytes.pair(opcode, number);
      return;
    }
    this.bytes.byte(opcode);
    this.bytes.unsigned(number);
  }

  /** An instruction with a signed number of 32 bits. */
  #constant(opcode: number, value: number): void {
    if (value >= -0x40 && value < 0x40) {
      this.bytes.pair(opcode, value & 0x7f);
      return;
    }
    this.bytes.byte(opcode);
    this.bytes.signed(value);
  }

  globalGet(global: number): void {
    this.bytes.byte(OP.global_get);
    this.bytes.unsigned(global);
  }

  globalSet(global: number): void {
    this.bytes.byte(OP.global_set);
    this.bytes.unsigned(global);
  }

  /** @param value taken modulo 2^32. */
  i32(value: number): void {
    this.#constant(OP.i32_const, value | 0);
  }

  /** @param value a signed integer of 32 bits. */
  i64(value: number): void {
    this.#constant(OP.i64_const, value);
  }

  /** @param value an unsigned integer of 32 bits. */
  i64Unsigned(value: number): void {
    if (value <= 0x7fff_ffff) this.i64(value);
    else this.i64Big(BigInt(value));
  }

  i64Big(value: bigint): void {
    this.bytes.byte(OP.i64_const);
    this.bytes.signed64(value);
  }

  /** A load or store. @param align log2 of the alignment that is claimed. @param offset bytes, 0 to 2^32 − 1. */
  memory(opcode: number, memory: MemoryIndex, offset: number, align = 0): void {
    this.bytes.byte(opcode);
    this.#memarg(memory, offset, align);
  }

  /** An atomic access. @param align log2 of its size: it must be exactly that. */
  atomic(opcode: number, memory: MemoryIndex, offset: number, align: number): void {
    this.bytes.byte(ATOMIC_PREFIX);
    this.bytes.byte(opcode);
    this.#memarg(memory, offset, align);
  }

  call(index: number): void {
    this.bytes.byte(OP.call);
    this.bytes.unsigned(index);
  }

  /** Calls the function of the table that the i32 on the stack numbers. */
  callIndirect(type: number, table: number): void {
    this.#indirect(OP.call_indirect, type, table);
  }

  /** Calls a function of a table in place of this one. */
  returnCallIndirect(type: number, table: number): void {
    this.#indirect(OP.return_call_indirect, type, table);
  }

  #indirect(opcode: number, type: number, table: number): void {
    this.bytes.byte(opcode);
    this.bytes.unsigned(type);
    this.bytes.unsigned(table);
  }

  tableGet(table: number): void {
    this.bytes.byte(OP.table_get);
    this.bytes.unsigned(table);
  }

  tableSize(table: number): void {
    this.bytes.byte(MISC_PREFIX);
    this.bytes.unsigned(TABLE_SIZE);
    this.bytes.unsigned(table);
  }

  /** Calls a function in place of this one. */
  returnCall(index: number): void {
    this.bytes.byte(OP.return_call);
    this.bytes.unsigned(index);
  }

  zero(type: ValueType): void {
    if (type === TYPE.i64) this.i64(0);
    else if (type === TYPE.i32) this.i32(0);
    else {
      this.bytes.byte(OP.f64_const);
      for (let i = 0; i < 8; i++) this.bytes.byte(0);
    }
  }

  /** Opens a block that is left forwards. */
  block(type: ValueType | typeof TYPE.empty = TYPE.empty): Label {
    return this.#open(OP.block, type);
  }

  /** Opens a loop: a branch to it starts it again. */
  loop(): Label {
    return this.#open(OP.loop, TYPE.empty);
  }

  if(type: ValueType | typeof TYPE.empty = TYPE.empty, likely?: boolean): Label {
    this.#hint(likely);
    return this.#open(OP.if, type);
  }

  else(): void {
    this.bytes.byte(OP.else);
  }

  end(): void {
    this.#depth--;
    this.bytes.byte(OP.end);
  }

  br(label: Label): void {
    this.bytes.byte(OP.br);
    this.bytes.unsigned(this.#depth - label);
  }

  /**
   * Branches out of everything that is open, to the block number `out` around it: 0 is the innermost. Those blocks are
   * put around the code at the end, by {@link enclose}.
   */
  brIfOut(out: number): void {
    this.#hint(false);
    this.bytes.byte(OP.br_if);
    this.bytes.unsigned(this.#depth + out);
  }

  /** Puts blocks around what was written. Each `write` emits what follows the end of one, the innermost first. */
  enclose(blocks: readonly (() => void)[]): void {
    if (blocks.length === 0) return;
    const before = 2 * blocks.length;
    this.bytes.makeRoom(before);
    const { view } = this.bytes;
    for (let i = 0; i < before; i += 2) {
      view[i] = OP.block;
      view[i + 1] = TYPE.empty;
    }
    for (let i = 0; i < this.positionCount; i++) this.positions[2 * i] += before;
    for (let i = 0; i < this.hints.length; i += 2) this.hints[i] += before;
    this.#depth = blocks.length;
    for (const write of blocks) {
      this.end();
      write();
    }
  }

  brIf(label: Label, likely?: boolean): void {
    this.#hint(likely);
    this.bytes.byte(OP.br_if);
    this.bytes.unsigned(this.#depth - label);
  }

  /** Branches to the label that the i32 on the stack chooses; the last one is for all beyond. */
  brTable(labels: readonly Label[]): void {
    this.bytes.byte(OP.br_table);
    this.bytes.unsigned(labels.length - 1);
    for (const label of labels) this.bytes.unsigned(this.#depth - label);
  }

  #open(opcode: number, type: number): Label {
    this.bytes.byte(opcode);
    this.bytes.byte(type);
    return ++this.#depth as Label;
  }

  #hint(likely: boolean | undefined): void {
    if (likely !== undefined) this.hints.push(this.bytes.length, likely ? 1 : 0);
  }

  #memarg(memory: MemoryIndex, offset: number, align: number): void {
    if (memory !== ARENA_MEMORY) this.bytes.pair(align | 0x40, memory);
    else if (offset < 0x80) {
      this.bytes.pair(align, offset);
      return;
    } else this.bytes.byte(align);
    this.bytes.unsigned(offset);
  }
}
