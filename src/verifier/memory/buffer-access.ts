import type { Env } from '../env.ts';
import { typeName } from '../state/print.ts';
import { MEM_RDONLY } from '../state/reg.ts';
import type { Access } from './access.ts';
import { tnumText } from './stack.ts';

/**
 * Memory whose size nobody knows yet: the key and the value that an iterator is shown (Linux: check_buffer_access). How far the program
 * reaches is noted, and compared with the map when it is attached.
 */

/** @param off the instruction's offset and the pointer's own. */
export function accessBuffer(env: Env, number: number, off: number, size: number, access: Access): void {
  const reg = env.reg(number);
  const readOnly = reg.has(MEM_RDONLY);
  if (readOnly && access === 'write')
    throw env.reject('EACCES', `R${number} cannot write into ${typeName(reg)}`);
  const where = `R${number} invalid ${readOnly ? 'rdonly' : 'rdwr'} buffer access: off=${off}, size=${size}`;
  checkOffset(env, number, off, where);
  env.facts.noteBuffer(readOnly, off + size);
}

/** The buffer of a writable tracepoint (Linux: check_tp_buffer_access). */
export function accessTracepointBuffer(env: Env, number: number, off: number, size: number): void {
  checkOffset(env, number, off, `R${number} invalid tracepoint buffer access: off=${off}, size=${size}`);
}

function checkOffset(env: Env, number: number, off: number, where: string): void {
  const { scalar } = env.reg(number);
  if (off < 0) throw env.reject('EACCES', where);
  if (scalar.isConst() && scalar.sminNumber() === 0) return;
  const found = `off=${off}, var_off=${tnumText(scalar)}`;
  throw env.reject('EACCES', `R${number} invalid variable buffer offset: ${found}`);
}
