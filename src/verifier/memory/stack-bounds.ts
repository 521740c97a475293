import type { Env } from '../env.ts';
import type { Reg } from '../state/reg.ts';
import { tnumText } from './stack.ts';

/**
 * Where on the stack an access may lie, and whether that is inside the frame's 512 bytes. Offsets count from the top: −1 is the
 * highest byte.
 */

/** Bytes of stack that a frame may have (Linux: MAX_BPF_STACK). */
export const MAX_STACK = 512;
/** Linux: BPF_MAX_VAR_OFF. */
export const MAX_VARIABLE_OFFSET = 2 ** 29;

/** The slot of a byte, and the byte's place in it: 0 is the highest. */
export function slotOf(off: number): number {
  return (-off - 1) >> 3;
}

export function byteOf(off: number): number {
  return (-off - 1) & 7;
}

/** The lowest and the highest offset at which an access through the pointer may start. */
export function stackRange(reg: Reg, off: number): { min: number; max: number } {
  return { min: reg.scalar.sminNumber() + off, max: reg.scalar.smaxNumber() + off };
}

const WORDS = { read: ' read from', write: ' write to' } as const;

/** Refuses what may lie outside the frame, and notes how deep the frame's stack goes. `off` includes the pointer's own. */
export function checkStackBounds(
  env: Env,
  number: number,
  off: number,
  size: number,
  access: 'read' | 'write',
): void {
  const reg = env.reg(number);
  const fixed = reg.scalar.isConst();
  const { min, max } = stackRange(reg, off);
  if (
    !fixed &&
    (reg.scalar.smaxNumber() >= MAX_VARIABLE_OFFSET || reg.scalar.sminNumber() <= -MAX_VARIABLE_OFFSET)
  )
    throw env.reject('EACCES', `invalid unbounded variable-offset${WORDS[access]} stack R${number}`);
  const below = min < -MAX_STACK || min > -1;
  if (below || max + size > 0 || size < 0) {
    const what = fixed
      ? `invalid${WORDS[access]} stack R${number} off=${min} size=${size}`
      : `invalid variable-offset${WORDS[access]} stack R${number} var_off=${tnumText(reg.scalar)} off=${off} size=${size}`;
    throw env.reject(below ? 'EACCES' : 'EINVAL', what);
  }
  const frame = env.state.frames[reg.frame];
  const { stackDepth } = env.facts;
  const depth = Math.ceil(-min / 8) * 8;
  if (depth > stackDepth[frame.subprog]) stackDepth[frame.subprog] = depth;
}

/** An address is handed out, and nobody says how much behind it is read: so all of the frame must be in memory. */
export function noteAddress(env: Env, { kind, frame }: Reg): void {
  if (kind === 'fp') env.facts.noteStackEscape(env.state.frames[frame].subprog, -MAX_STACK, 0);
}
