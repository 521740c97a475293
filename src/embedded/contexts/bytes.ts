import { BpfError } from '../../errors.ts';
import type { KernelOffset } from '../layout.ts';
import { type Context, MAX_CTX } from './context.ts';

/**
 * Contexts that are the caller's bytes: those of `syscall` programs, which may change them, and the arguments of tracepoints and perf
 * events, which come from whoever tests such a program.
 */

interface Limits {
  /** The most bytes that it can have. */
  readonly most: number;
  /** Programs of the type make tail calls. */
  readonly makesTailCalls: boolean;
  /** The program may change it, and it comes back. */
  readonly comesBack: boolean;
}

const NONE = new Uint8Array();

/** A context of bytes. @param what it is called in errors. */
export function bytesContext({ most, makesTailCalls, comesBack }: Limits): Context {
  const room = makesTailCalls ? most : 0;
  return {
    hasPacket: false,
    room,
    enter(memory, place, { name, type, contextBytes }, { ctx, data }) {
      if (data !== undefined)
        throw new BpfError('EINVAL', `program '${name}': programs of type ${type} see no packet`);
      checkContextSize(name, ctx?.length ?? 0, contextBytes, most);
      if (ctx === undefined && room === 0) return { ctx: 0 as KernelOffset, size: 0 };
      const given = ctx ?? NONE;
      memory.bytes.set(given, place);
      if (given.length < room) memory.bytes.fill(0, place + given.length, place + room);
      return { ctx: place, size: Math.max(given.length, room) };
    },
    leave(memory, place, _, { ctx }) {
      if (ctx === undefined || !comesBack) return {};
      return { ctxOut: memory.bytes.slice(place, place + ctx.length) };
    },
  };
}

/** Throws EINVAL for a context that is larger than can be, or smaller than what the program reads and writes. */
export function checkContextSize(name: string, bytes: number, needed: number, most = MAX_CTX): void {
  if (!Number.isInteger(bytes) || bytes < 0 || bytes > most)
    throw new BpfError('EINVAL', `program '${name}': a context has at most ${most} bytes, not ${bytes}`);
  if (bytes >= needed) return;
  const problem = `it reads or writes ${needed} bytes of context, and got ${bytes}`;
  throw new BpfError('EINVAL', `program '${name}': ${problem}; give more by ctx (--ctx)`);
}
