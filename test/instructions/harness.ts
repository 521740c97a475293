import { readdirSync, readFileSync } from 'node:fs';
import { assembleInstructions } from '../../src/isa/assembler.ts';
import { BPF_PSEUDO_MAP_VALUE } from '../../src/isa/opcodes.ts';
import { functionsOf } from '../../src/verifier/functions.ts';
import type { ProgramToVerify } from '../../src/verifier/input.ts';

/**
 * The instruction suite: what every instruction does, as data that any engine can run. A case is a function in assembly
 * text; a frame around it, an ordinary `syscall` program, fetches its arguments from the context and writes back what it
 * returned, so that all 64 bits can be compared and no value is known to a verifier beforehand. The expected values of
 * every case were recorded from Linux 6.18 (x86-64, its JIT) running exactly these programs.
 */

/** A function and what it gives. Numbers are hexadecimal, unsigned, 64 bits. */
export interface InstructionCase {
  /** Assembly of the function, and of what it calls. */
  readonly asm: string;
  /** Each run: the arguments in r1 and up (r2 and up with memory), the last number being the expected r0. */
  readonly runs: readonly (readonly string[])[];
  /** Bytes in hex, a multiple of 8, at most 64: r1 points to a copy of them. */
  readonly memory?: string;
  /** Where the copy is: on the caller's stack (default), or the value of a map. */
  readonly place?: 'stack' | 'value';
  /** What stands there after each run; absent when it is what stood there before. */
  readonly after?: readonly string[];
}

const RESULT = 0;
const ARGUMENTS = 8;
const MEMORY = 48;
/** Bytes of the largest memory of a case. */
export const MEMORY_BYTES = 64;
const CONTEXT_BYTES = MEMORY + MEMORY_BYTES;

/** All files of cases, by name. */
export function readSuite(): Record<string, InstructionCase[]> {
  const folder = new URL('.', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return Object.fromEntries(
    files.map((file) => [file, JSON.parse(readFileSync(new URL(file, folder), 'utf8'))]),
  );
}

/** The program that runs a case. @param values what a ld_imm64 names the map by whose value is a case's memory. */
export function programOf(
  { asm, runs, memory, place = 'stack' }: InstructionCase,
  values = 0,
): ProgramToVerify {
  const words = Array.from({ length: memory === undefined ? 0 : memory.length / 16 }, (_, i) => 8 * i);
  const first = memory === undefined ? 1 : 2;
  const base = place === 'stack' ? 'r10' : 'r7';
  const shift = place === 'stack' ? -MEMORY_BYTES : 0;
  const text = [
    'r6 = r1',
    ...(place === 'stack' ? [] : [`ld_pseudo r7, ${BPF_PSEUDO_MAP_VALUE}, ${values}`]),
    ...words.flatMap((at) => [
      `r0 = *(u64 *)(r6 + ${MEMORY + at})`,
      `*(u64 *)(${base} + ${shift + at}) = r0`,
    ]),
    ...runs[0].slice(1).map((_, i) => `r${first + i} = *(u64 *)(r6 + ${ARGUMENTS + 8 * i})`),
    ...(memory === undefined ? [] : [`r1 = ${base}`, `r1 += ${shift}`]),
    'call function',
    `*(u64 *)(r6 + ${RESULT}) = r0`,
    ...words.flatMap((at) => [
      `r0 = *(u64 *)(${base} + ${shift + at})`,
      `*(u64 *)(r6 + ${MEMORY + at}) = r0`,
    ]),
    'r0 = 0',
    'exit',
    `function: ${asm}`,
  ];
  const insns = assembleInstructions(text.join('\n').replaceAll('+ -', '- '));
  return { name: asm, insns, subprograms: functionsOf(insns) };
}

/** The context of one run. */
export function contextOf({ memory = '' }: InstructionCase, run: readonly string[]): Uint8Array {
  const ctx = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(ctx.buffer);
  run.slice(0, -1).forEach((value, i) => {
    view.setBigUint64(ARGUMENTS + 8 * i, BigInt(value), true);
  });
  ctx.set(bytesOf(memory), MEMORY);
  return ctx;
}

/** What a run leaves: r0, and its memory in hex. */
export interface Outcome {
  r0: string;
  memory: string;
}

/** Reads from the context what a run left. */
export function outcomeOf({ memory = '' }: InstructionCase, ctx: Uint8Array): Outcome {
  const view = new DataView(ctx.buffer, ctx.byteOffset);
  const bytes = ctx.subarray(MEMORY, MEMORY + memory.length / 2);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { r0: `0x${view.getBigUint64(RESULT, true).toString(16)}`, memory: hex };
}

/** What run number `run` should leave. */
export function expectedOf({ runs, memory = '', after }: InstructionCase, run: number): Outcome {
  return { r0: runs[run][runs[run].length - 1], memory: after?.[run] ?? memory };
}

function bytesOf(hex: string): number[] {
  return Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
