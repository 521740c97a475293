import { opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import { pushHistory } from '../explore/history.ts';
import { markPrecise } from '../explore/precision.ts';
import { markStackRead, markStackWritten } from '../explore/stack-liveness.ts';
import { noteStackAccess } from '../flow/fastcall.ts';
import { constant, type Scalar } from '../scalar/scalar.ts';
import { type Reg, scalarReg, UNKNOWN_SCALAR, ZERO_SCALAR } from '../state/reg.ts';
import {
  DYNPTR,
  INVALID,
  IRQ_FLAG,
  ITER,
  MISC,
  SPILL,
  StackSlot,
  setByte,
  ZERO_BYTE,
} from '../state/slot.ts';
import type { Frame } from '../state/state.ts';
import { isNull, withScalarId } from '../values.ts';
import { destroyDynptr } from './dynptr.ts';
import { byteOf, checkStackBounds, noteAddress, slotOf, stackRange } from './stack-bounds.ts';

/**
 * Loads and stores on a frame's stack (Linux: check_stack_read, check_stack_write). A register stored whole is spilled:
 * its slot remembers all that is known of it. Through a pointer of variable offset only what holds for every slot that it
 * may reach survives.
 */

/** Whether a value is the same after storing its low `size` bytes. */
export function fitsIn(scalar: Scalar, size: number): boolean {
  if (size === 8) return true;
  return scalar.umaxHi === 0 && (size === 4 || scalar.umaxLo >>> 0 < 2 ** (8 * size));
}

function slotAt(frame: Frame, slot: number): StackSlot {
  return frame.stack[slot] ?? EMPTY;
}

const EMPTY = new StackSlot(0, undefined);

function scratch(env: Env, frame: Frame, slot: number): void {
  env.scratchedSlots.add((frame.number << 8) | slot);
}

/** Puts a register into a slot. Bytes above a narrow one become unknown, unless they are zero or were never written. */
function spill(frame: Frame, slot: number, reg: Reg, size: number): void {
  let { bytes } = slotAt(frame, slot);
  for (let i = 0; i < 8; i++) {
    const type = (bytes >>> (4 * i)) & 0xf;
    if (i >= 8 - size) bytes = setByte(bytes, i, SPILL);
    else if (type !== ZERO_BYTE && type !== INVALID) bytes = setByte(bytes, i, MISC);
  }
  frame.stack[slot] = new StackSlot(bytes, reg);
}

/** The bytes of a slot once its register, dynptr or iterator is given up. */
export function withoutSpecial(bytes: number): number {
  let result = bytes;
  for (let i = 0; i < 8; i++) {
    const type = (bytes >>> (4 * i)) & 0xf;
    if (type === SPILL || type === DYNPTR || type === ITER || type === IRQ_FLAG)
      result = setByte(result, i, MISC);
  }
  return result;
}

/** A store through register `base`: of register `value`, or of the immediate when that is −1. */
export function writeStack(env: Env, base: number, off: number, size: number, value: number): void {
  const reg = env.reg(base);
  checkStackBounds(env, base, off, size, 'write');
  const frame = env.state.frames[reg.frame];
  noteStackAccess(env, frame.subprog, stackRange(reg, off).min);
  if (reg.scalar.isConst()) writeFixed(env, frame, off + reg.scalar.sminNumber(), size, value);
  else writeVariable(env, frame, reg, off, size, value);
}

function writeFixed(env: Env, frame: Frame, off: number, size: number, value: number): void {
  const slot = slotOf(off);
  destroyDynptr(env, frame, slot);
  const aligned = off % 8 === 0;
  const reg = value >= 0 ? env.reg(value) : undefined;
  scratch(env, frame, slot);
  if (reg?.kind === 'scalar' && aligned) {
    const fits = fitsIn(reg.scalar, size);
    // What is learnt of the register later holds for the slot too, and the other way round.
    const tied = fits ? withScalarId(env, value) : reg;
    spill(frame, slot, fits ? tied : tied.untied(), size);
    pushHistory(env, env.state, { frame: frame.number, slot });
  } else if (reg === undefined && aligned && isImmediateStore(env)) {
    spill(frame, slot, scalarReg(constant(env.insns[env.at].imm)), size);
    pushHistory(env, env.state, { frame: frame.number, slot });
  } else if (reg !== undefined && reg.kind !== 'scalar') {
    if (size !== 8) throw env.reject('EACCES', 'invalid size of register spill');
    if (frame !== env.frame && reg.kind === 'fp')
      throw env.reject('EINVAL', 'cannot spill pointers to stack into stack frame of the caller');
    spill(frame, slot, reg, size);
    pushHistory(env, env.state, { frame: frame.number, slot });
  } else {
    const zero = storesZero(env, reg);
    // The bytes will be taken for zeroes: the register must be exactly that on every path.
    if (zero && value >= 0) markPrecise(env, value);
    let bytes = withoutSpecial(slotAt(frame, slot).bytes);
    for (let i = 0; i < size; i++) bytes = setByte(bytes, byteOf(off + i), zero ? ZERO_BYTE : MISC);
    frame.stack[slot] = new StackSlot(bytes, undefined);
  }
  if (size === 8) markStackWritten(frame, slot);
}

/** Atomics store neither a register nor an immediate. */
function isImmediateStore(env: Env): boolean {
  return opcode(env.insns[env.at].code)?.kind === 'store';
}

function storesZero(env: Env, reg: Reg | undefined): boolean {
  return reg === undefined ? isImmediateStore(env) && env.insns[env.at].imm === 0 : isNull(reg);
}

function writeVariable(env: Env, frame: Frame, base: Reg, off: number, size: number, value: number): void {
  const { min, max } = stackRange(base, off);
  const reg = value >= 0 ? env.reg(value) : undefined;
  const zero = storesZero(env, reg);
  let usedZero = false;
  for (let i = min; i < max + size; i++) destroyDynptr(env, frame, slotOf(i));
  for (let i = min; i < max + size; i++) {
    const slot = slotOf(i);
    const old = slotAt(frame, slot);
    const type = old.byte(byteOf(i));
    scratch(env, frame, slot);
    if (zero && type === SPILL && old.isScalarSpill && old.reg !== undefined && isNull(old.reg)) {
      usedZero = true;
      continue;
    }
    const keepsZero = zero && type === ZERO_BYTE;
    usedZero ||= keepsZero;
    frame.stack[slot] = new StackSlot(
      setByte(old.isSpill ? withoutSpecial(old.bytes) : old.bytes, byteOf(i), keepsZero ? ZERO_BYTE : MISC),
      undefined,
    );
  }
  if (usedZero && value >= 0) markPrecise(env, value);
}

/** A load through register `base` into register `dst`. */
export function readStack(env: Env, base: number, off: number, size: number, dst: number): void {
  const reg = env.reg(base);
  checkStackBounds(env, base, off, size, 'read');
  const frame = env.state.frames[reg.frame];
  noteStackAccess(env, frame.subprog, stackRange(reg, off).min);
  if (reg.scalar.isConst()) {
    readFixed(env, frame, off + reg.scalar.sminNumber(), size, dst);
    return;
  }
  const { min, max } = stackRange(reg, off);
  for (let i = min; i < max + size; i++) {
    const slot = slotAt(frame, slotOf(i));
    const type = slot.byte(byteOf(i));
    markStackRead(env, reg.frame, slotOf(i));
    if (type === MISC || type === ZERO_BYTE || type === INVALID || slot.isSpill) continue;
    const where = `R${base} var_off ${tnumText(reg.scalar)}+${i - min} size ${size}`;
    throw env.reject('EACCES', `invalid read from stack ${where}`);
  }
  setFromBytes(env, frame, min, max + size, dst);
}

export function tnumText(scalar: Scalar): string {
  const { value, mask } = scalar.tnum();
  if (mask === 0n) return value <= 0xffffn ? `${value}` : `0x${value.toString(16)}`;
  return `(0x${value.toString(16)}; 0x${mask.toString(16)})`;
}

function readFixed(env: Env, frame: Frame, off: number, size: number, dst: number): void {
  const at = slotOf(off);
  const slot = slotAt(frame, at);
  scratch(env, frame, at);
  markStackRead(env, frame.number, at);
  const { reg } = slot;
  if (!slot.isSpill || reg === undefined) {
    checkReadable(env, slot, off, size, false);
    setFromBytes(env, frame, off, off + size, dst);
    return;
  }
  let spilled = 1;
  while (spilled < 8 && slot.byte(7 - spilled) === SPILL) spilled++;
  if (size === 8 && spilled === 8) {
    env.setReg(dst, reg);
  } else {
    if (reg.kind !== 'scalar') throw env.reject('EACCES', 'invalid size of register fill');
    if (size <= spilled && off % 8 === 0) {
      env.setReg(dst, fitsIn(reg.scalar, size) ? reg : reg.untied());
    } else {
      const { spills, zeroes } = checkReadable(env, slot, off, size, true);
      if (spills === size && isNull(reg)) {
        env.setReg(dst, ZERO_SCALAR);
      } else {
        env.setReg(dst, zeroes === size ? ZERO_SCALAR : UNKNOWN_SCALAR);
        return;
      }
    }
  }
  pushHistory(env, env.state, { frame: frame.number, slot: at });
}

/** Whether all bytes may be read. @returns how many are of a spilled register, and how many zero. */
function checkReadable(env: Env, slot: StackSlot, off: number, size: number, spillsToo: boolean) {
  let spills = 0;
  let zeroes = 0;
  for (let i = 0; i < size; i++) {
    const type = slot.byte(byteOf(off + i));
    if (type === SPILL && spillsToo) spills++;
    else if (type === ZERO_BYTE) zeroes++;
    // What was never written may be read by those who may see kernel memory anyway.
    else if (type !== MISC && type !== INVALID)
      throw env.reject('EACCES', `invalid read from stack off ${off}+${i} size ${size}`);
  }
  return { spills, zeroes };
}

/** A register loaded from bytes: zero when all are (Linux: mark_reg_stack_read). */
function setFromBytes(env: Env, frame: Frame, from: number, to: number, dst: number): void {
  let zeroes = true;
  for (let i = from; i < to && zeroes; i++) {
    scratch(env, frame, slotOf(i));
    zeroes = slotAt(frame, slotOf(i)).byte(byteOf(i)) === ZERO_BYTE;
  }
  env.setReg(dst, zeroes ? ZERO_SCALAR : UNKNOWN_SCALAR);
}

/** What a helper that writes or reads stack through a pointer needs: see {@link checkStackRange}. */
export interface RawWrite {
  /** The argument whose memory the helper fills: nothing needs to be there before. */
  raw: boolean;
  /** Filled in: which register, and how many bytes it will write. */
  register: number;
  size: number;
}

/** Checks stack that a helper reads or writes through register `number` (Linux: check_stack_range_initialized). */
export function checkStackRange(
  env: Env,
  number: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
  access: 'read' | 'write',
  meta?: RawWrite,
): void {
  const base = env.reg(number);
  const frame = env.state.frames[base.frame];
  if (size === 0 && !zeroAllowed) throw env.reject('EACCES', 'invalid zero-sized read');
  checkStackBounds(env, number, off, size, access);
  const { min, max } = stackRange(base, off);
  env.facts.noteStackEscape(frame.subprog, min, max + size);
  if (meta?.raw && base.scalar.isConst()) {
    for (let i = min; i < max + size; i++) {
      if (slotAt(frame, slotOf(i)).byte(byteOf(i)) === DYNPTR)
        throw env.reject('EACCES', `potential write to dynptr at off=${i} disallowed`);
    }
    meta.register = number;
    meta.size = size;
    return;
  }
  for (let i = min; i < max + size; i++) {
    const at = slotOf(i);
    const slot = slotAt(frame, at);
    const type = slot.byte(byteOf(i));
    if (type === ZERO_BYTE || type === INVALID) {
      if (access === 'write') frame.stack[at] = new StackSlot(setByte(slot.bytes, byteOf(i), MISC), slot.reg);
    } else if (slot.isSpill) {
      if (slot.reg !== undefined) noteAddress(env, slot.reg);
      if (access === 'write') frame.stack[at] = new StackSlot(withoutSpecial(slot.bytes), undefined);
    } else if (type !== MISC) {
      const where = base.scalar.isConst()
        ? `off ${min}+${i - min}`
        : `var_off ${tnumText(base.scalar)}+${i - min}`;
      throw env.reject('EACCES', `invalid read from stack R${number} ${where} size ${size}`);
    }
    markStackRead(env, base.frame, at);
  }
}

/** Bytes that a helper filled: nothing is known of them (Linux: the stores that check_helper_call makes up). */
export function fillStack(env: Env, number: number, size: number): void {
  const base = env.reg(number);
  const frame = env.state.frames[base.frame];
  const start = base.off + base.scalar.sminNumber();
  for (let off = start; off < start + size; off++) {
    const at = slotOf(off);
    const { bytes } = slotAt(frame, at);
    scratch(env, frame, at);
    frame.stack[at] = new StackSlot(setByte(withoutSpecial(bytes), byteOf(off), MISC), undefined);
  }
}
