import type { RawRunOptions } from '../../bytes.ts';
import type { RunResult } from '../../kernel.ts';
import type { ProgramType } from '../../object/program-types.ts';
import type { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';

/**
 * How a run's options become what a program finds: a context in kernel memory, whose address is in r1, and a packet where there is
 * one; and what of them comes back. Each program type has one {@link Context} (table.ts). A CPU has one place for all this, in
 * which the context comes first. All state is in that place, so the functions work on any CPU.
 *
 * The trick: the context is the structure of include/uapi/linux/bpf.h itself, field by field, so that plain loads and stores do what
 * Linux rewrites its programs for. A field that is a packet pointer holds the low half; both engines add the upper one (`contextField`
 * in the verifier's facts). Behind the structure stands what only helpers see.
 */

/** The largest context, of a syscall program (Linux: U16_MAX). */
export const MAX_CTX = 65_535;
/** In a CPU's place, from its beginning: where packets go. */
export const PACKET_AT = 65_536;
/** Bytes for packets: an XDP frame with all its fragments, or a socket buffer with room to grow at both ends. */
export const PACKET_BYTES = 131_072;
/** All of a CPU's place. */
export const PLACE_BYTES = PACKET_AT + PACKET_BYTES;

/** The Ethernet header, which a packet has at least (Linux: ETH_HLEN). */
export const ETH_HLEN = 14;

/** The program, as far as its context depends on it. */
export interface ContextUser {
  readonly name: string;
  readonly type: ProgramType;
  readonly attachType: string | undefined;
  /** Bytes of context that it reads or writes (Linux: max_ctx_offset). */
  readonly contextBytes: number;
}

/** What a program finds. */
export interface Entered {
  /** The context's first byte; 0: none. */
  readonly ctx: KernelOffset;
  /** Its bytes. */
  readonly size: number;
}

export interface Context {
  /** Lays context and packet out. Throws EINVAL and what else Linux answers to options that do not suit the type. */
  enter(memory: KernelMemory, place: KernelOffset, program: ContextUser, options: RawRunOptions): Entered;
  /** What comes back. */
  leave(
    memory: KernelMemory,
    place: KernelOffset,
    program: ContextUser,
    options: RawRunOptions,
  ): Pick<RunResult, 'ctxOut' | 'dataOut'>;
  /**
   * For the checked mode: whether the program may access bytes of the place that are not the context. @returns undefined when it may,
   * else why not.
   */
  refusal?(
    memory: KernelMemory,
    place: KernelOffset,
    offset: number,
    size: number,
    writes: boolean,
  ): string | undefined;
  /** A packet belongs to it: it cannot be run with a context alone. */
  readonly hasPacket: boolean;
  /**
   * Bytes of context that are there however few were given, zeroes: a tail call may lead to a program that reads more than the one
   * that was run. 0: as many as were given, or as the type has.
   */
  readonly room: number;
}
