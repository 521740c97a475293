import { assembleInstructions } from '../isa/assembler.ts';
import { encode, type Instruction } from '../isa/instruction.ts';
import { PROGRAM_TYPES, type ProgramType } from '../object/program-types.ts';
import { bpfOrThrow, cString, loadProgram } from './bpf.ts';
import type { Fd } from './fd.ts';
import type { Attributes } from './layouts.ts';

/**
 * Programs of a few instructions that this room loads on its own account: to find out what the kernel can do, and to do
 * with an arena what only programs can.
 */

const BPF_F_SLEEPABLE = 1 << 4;

/**
 * Loads instructions, as text or not.
 * @returns the file descriptor if they were accepted, and the verifier's log if not.
 */
export function loadSnippet(
  code: string | readonly Instruction[],
  type: ProgramType = 'syscall',
  attributes: Attributes<'prog_load'> = {},
): { fd: Fd | undefined; result: number; log: string } {
  const insns = encode(typeof code === 'string' ? assembleInstructions(code) : code);
  return loadProgram({
    prog_type: PROGRAM_TYPES[type],
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    prog_flags: type === 'syscall' ? BPF_F_SLEEPABLE : 0,
    ...attributes,
  });
}

/** Whether instructions are accepted. */
export function accepts(code: string, type?: ProgramType): boolean {
  const { fd } = loadSnippet(code, type);
  fd?.close();
  return fd !== undefined;
}

/** Runs a `syscall` program. @param ctx its context, which it may change. @param what was attempted, for the message. */
export function runSnippet(fd: number, ctx: ArrayBufferView, what: string): void {
  bpfOrThrow('prog_test_run', { prog_fd: fd, ctx_in: ctx, ctx_size_in: ctx.byteLength }, what);
}
