import type { Btf } from '../btf/index.ts';
import type { Instruction } from '../isa/instruction.ts';
import type { SourceLine } from '../object/link.ts';
import type { AttachType, ProgramType } from '../object/program-types.ts';
import type { Env } from './env.ts';
import type { FieldRecord } from './field-kinds.ts';

/** What goes into the verifier: a linked program with its references filled in, and the maps they name. */

/** A map as programs meet it: no contents, save those that never change. */
export interface MapInfo {
  /** As Linux sees it, at most 15 characters. */
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_* of BPF_MAP_CREATE. */
  readonly flags: number;
  readonly mapExtra?: bigint;
  /** Types of key and value in {@link btf}; 0 when the map has none. */
  readonly btf?: Btf | undefined;
  readonly keyType: number;
  readonly valueType: number;
  /** Of a map that programs cannot write and user space has frozen: its one value. Loads from it are constants. */
  readonly contents?: Uint8Array | undefined;
  /** What the maps inside look like. */
  readonly inner?: MapInfo | undefined;
  /** The locks, timers, kptrs and their like in values, which only some helpers may touch. */
  readonly fields?: FieldRecord | undefined;
  /** Of an arena: whether its user address is known. Absent means known. */
  readonly placed?: boolean;
}

/** A function of the program: the entry function is the first. Slots; `end` is one past its last. */
export interface ProgramFunction {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** Absent: static. */
  readonly linkage?: 'static' | 'global';
  /** Type id of its func in the program's BTF; 0 or absent when it has none. */
  readonly type?: number;
}

export interface ProgramToVerify {
  readonly name: string;
  readonly insns: readonly Instruction[];
  readonly subprograms: readonly ProgramFunction[];
  /** Default syscall. */
  readonly type?: ProgramType;
  readonly attachType?: AttachType | undefined;
  /** Of an iterator: over what. */
  readonly attachTo?: string | undefined;
  /** May it sleep? Programs of type syscall always may. */
  readonly sleepable?: boolean;
  /** BPF_F_STRICT_ALIGNMENT and its like. */
  readonly flags?: number;
  /** Default GPL. */
  readonly license?: string;
  /** The program's own types. */
  readonly btf?: Btf | undefined;
  /** The kernel's types: what kfunc ids and ksym ids refer to. */
  readonly kernelBtf?: Btf | undefined;
  /** The map that the ld_imm64 with this `imm` stands for. */
  readonly map?: (imm: number) => MapInfo | undefined;
  /** The source line of a slot. */
  readonly sourceAt?: ((insn: number) => SourceLine | undefined) | undefined;
  /** 0 none, 1 the path that failed or succeeded last, 2 all, 4 statistics. Default 0: the log holds the error alone. */
  readonly logLevel?: number;
  /** For tests of the verifier itself. */
  readonly observation?: Observation | undefined;
}

/** Looking at a verification from outside. */
export interface Observation {
  /** Called before an instruction is checked, with all that is claimed there: copy what shall be kept. */
  readonly record?: (env: Env) => void;
  /**
   * Pruning compares every range, not only those that a check relied on: then what is recorded at an instruction holds
   * on all paths to it, for registers that are live.
   */
  readonly exactPruning?: boolean;
}

/** Verified by itself, not where it is called. Without type information Linux takes every function for a static one. */
export function isGlobal({ btf }: ProgramToVerify, { linkage, type = 0 }: ProgramFunction): boolean {
  return linkage === 'global' && btf !== undefined && type !== 0;
}
