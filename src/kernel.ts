import type { Bytes } from './bytes.ts';
import type { Instruction } from './isa/instruction.ts';
import type { MappedArray } from './mapped-array.ts';
import type { Variable } from './object/data-sections.ts';
import type { BpfObject, ProgramSpec } from './object/object.ts';
import type { ProgramType } from './object/program-types.ts';
import type { PerfBufferOptions, PerfRecord } from './perf-ring.ts';
import type { RecordReader } from './record-reader.ts';
import type { RecordWriter } from './record-ring.ts';
import type { ViewMemory } from './view/memory.ts';

/**
 * What a kernel is to whoever loads objects: one interface, satisfied by the embedded kernel and by Linux. Only types
 * stand here; both kernels and the public API import them.
 */

/** A map in a kernel. Keys and values are bytes here; a typed view of them is the caller's matter. */
export interface BpfMap {
  /** As in the object. */
  readonly name: string;
  readonly id: number;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /**
   * What an element of a map of maps is set to, as a 4-byte value: the file descriptor on Linux, the id elsewhere. Looked up,
   * such an element is the map's {@link id}.
   */
  readonly handle: number;
  /** Bytes that lookup gives and update takes: in per-CPU maps a value for each possible CPU, each padded to 8 bytes. */
  readonly elementSize: number;
  /**
   * A copy of the value, or undefined when there is no such element.
   * @param flags BPF_F_LOCK 4: with the lock in the value held.
   */
  lookup(key: Bytes, flags?: number): Uint8Array | undefined;
  /** The value, which the same step takes out; undefined when there is none. Of a queue or stack the next one: its key has 0 bytes. */
  lookupAndDelete(key: Bytes, flags?: number): Uint8Array | undefined;
  /** @param flags BPF_ANY 0, BPF_NOEXIST 1, BPF_EXIST 2, BPF_F_LOCK 4. Throws EEXIST, ENOENT, E2BIG, EINVAL, EPERM. */
  update(key: Bytes, value: Bytes, flags?: number): void;
  /** Whether there was such an element. Throws EINVAL for types that delete nothing. */
  delete(key: Bytes): boolean;
  /** The key after this one in the map's own order, the first without one; undefined at the end. */
  nextKey(key?: Bytes): Uint8Array | undefined;
  /** BPF_MAP_FREEZE: user space may no longer change it. Throws EBUSY when it is frozen, or mapped writable. */
  freeze(): void;
  /** All keys. An element that is removed meanwhile ends or restarts nothing; one that is added may be missed. */
  keys(): Iterable<Uint8Array>;
  /** All elements, about `size` at a time. Throws ENOTSUPP for types without batches. @param andDelete takes them out, too. */
  lookupBatches(size?: number, andDelete?: boolean): Iterable<Batch>;
  /** Updates many elements; throws for the first that fails. @returns how many. */
  updateBatch(batch: Batch<Bytes>, flags?: number): number;
  /** Deletes many elements; throws for the first that fails, ENOENT where there is none. @returns how many. */
  deleteBatch(keys: readonly Bytes[]): number;
  /** Whether a bloom filter may hold a value. */
  contains(value: Bytes): boolean;
  /** A reader of a ring buffer, from where it was left. Close it. Throws EINVAL for maps of other types. */
  reader(): RecordReader<Uint8Array>;
  /**
   * A reader of what programs send to a perf event array: it gives each CPU a ring, in place of what the array had, and takes the
   * rings out when it is closed. Close it. Throws EINVAL for maps of other types and sizes that no ring has.
   */
  perfReader(options?: PerfBufferOptions): RecordReader<PerfRecord>;
  /** A writer of a user ring buffer. Close it. Throws EINVAL for maps of other types. */
  writer(): RecordWriter;
  /**
   * Maps an array with BPF_F_MMAPABLE, to be read and written without calls. Close it: until then the array cannot be frozen (EBUSY).
   * Throws EINVAL without that flag; EPERM for a frozen map, EACCES for one that programs or user space may not write or read;
   * ENOTSUPP for other types and values with fields that the kernel looks after.
   */
  mmap(): MappedArray;
  /** Gives it up: the map is gone when no program and no map of maps holds it, either. */
  close(): void;
}

/** What a map is made of that user space makes: as BPF_MAP_CREATE takes it. What is left out is 0. */
export interface NewMap {
  /** BPF_MAP_TYPE_*: one of `MAP_TYPES`. */
  readonly type: number;
  readonly name?: string | undefined;
  /** Bytes. */
  readonly keySize?: number | undefined;
  /** Bytes. */
  readonly valueSize?: number | undefined;
  readonly maxEntries?: number | undefined;
  readonly flags?: number | undefined;
  readonly mapExtra?: bigint | undefined;
  /** What the maps inside look like, of a map of maps. */
  readonly inner?: NewMap | undefined;
}

/** Elements, for operations on many at once. */
export interface Batch<Part extends Bytes = Uint8Array> {
  keys: Part[];
  values: Part[];
}

/** What a program gets, and what is wanted back. */
export interface RunOptions {
  /** The context: for `syscall` any bytes, at most 65,535; copied in, and out again. */
  ctx?: Bytes;
  /** The packet, for program types that see one. */
  data?: Bytes;
  /** Runs in a row; the result is the last one's. Default 1. */
  repeat?: number;
  /** The CPU to run on. Default: the one the calling thread is on; on the embedded kernel that is always 0. */
  cpu?: number;
}

/** An access to an arena page that was not present: where a program read 0 or lost a store. */
export interface FaultReport {
  program: string;
  /** The slot of the instruction. */
  insn: number;
  /** The function, and its source line where known. */
  function: string;
  source?: { file: string; line: number; text: string };
  /** The arena address; outside 0 to 2^32 − 1 when the instruction's offset left the window. */
  address: number;
  /** Bytes. */
  size: number;
  access: 'load' | 'store' | 'atomic';
  /** What the page was: free and reserved pages, or beyond the arena. */
  page: 'free' | 'reserved' | 'present' | 'outside';
  /** How often this instruction faulted; address and size are those of the first time. */
  count: number;
}

export interface RunResult {
  /** r0's low 32 bits, unsigned, as BPF_PROG_TEST_RUN gives it. */
  retval: number;
  /** Of one run, in nanoseconds; the mean when repeated. */
  durationNs: number;
  /** The context afterwards, when one was given. */
  ctxOut?: Uint8Array;
  /** The packet afterwards, when one was given. */
  dataOut?: Uint8Array;
  /** Empty unless the kernel was asked to report. */
  faults: FaultReport[];
}

/** How a prepared program shall be called. */
export interface PrepareOptions {
  /** The context: what it holds at first, or its size in bytes, zeroed. At most 65,535 bytes. Default: none. */
  ctx?: Bytes | { readonly size: number };
  /** As in {@link RunOptions}. */
  cpu?: number;
}

/**
 * A program with a context of its own, to be called many times: nothing is copied, timed or allocated. Close it, or let `using`
 * do it; it closes with its program.
 */
export interface PreparedRun extends Disposable {
  /**
   * The context: write it before {@link run}, and read what the program left there. Throws EBADF when closed. A view that was
   * taken before stays, and then shows memory that nothing uses any more.
   */
  readonly ctx: Uint8Array;
  /** The faults of the last run, where the kernel was asked to report. */
  readonly faults: readonly FaultReport[];
  /** Runs the program once. @returns r0's low 32 bits, unsigned. Throws what `LoadedProgram.run` throws. */
  run(): number;
  close(): void;
}

/** What a program writes to with bpf_stream_vprintk(). */
export type StreamName = 'stdout' | 'stderr';

/** What an iterator program is to be shown. */
export interface IterateOptions {
  /** Of SEC("iter/bpf_map_elem"): the map whose elements. */
  map?: BpfMap;
}

/**
 * An iterator program at work: it runs as far as its output is read. What it wrote is bytes, at most 32,767 for one object. Close it, or
 * let `using` do it; it closes with its program. On the embedded kernel it runs on CPU 0.
 */
export interface Iteration extends Iterable<Uint8Array>, Disposable {
  /**
   * The next bytes, or undefined at the end. @param size the most that are wanted, default 32,768. Throws EAGAIN when nothing was
   * written and the program returned 1, which asks for the same object again, or was shown a million: then read once more. Throws E2BIG
   * when one object's output is too large, EBADF when closed, EBUSY within another run on the embedded kernel.
   */
  read(size?: number): Uint8Array | undefined;
  /** All that is left: read again, too, where a read throws EAGAIN, 10,000 times in a row. Throws as {@link read}. */
  bytes(): Uint8Array;
  /** Likewise, as UTF-8. */
  text(): string;
  /** The faults so far, where the kernel was asked to report. */
  readonly faults: readonly FaultReport[];
  close(): void;
}

/** A loaded program. */
export interface LoadedProgram {
  readonly name: string;
  readonly type: ProgramType;
  readonly section: string;
  /** What a map that holds programs takes as the value for this one; a file descriptor on Linux. */
  readonly handle: number;
  /** Instructions, in slots. */
  readonly insnCount: number;
  /** What the verifier said, where a log was asked for. */
  readonly log: string;
  /** The program as the kernel has it after verification: `bpftool prog dump xlated`. */
  readonly xlated: XlatedProgram;
  /** The WebAssembly module that it became, in the text format, with source lines; undefined where it became none. */
  readonly wat?: string | undefined;
  /** What runs it in the embedded kernel; the interpreter also where a function is larger than WebAssembly allows. */
  readonly engine?: 'jit' | 'interpreter';
  /** On Linux on any CPU; on the embedded kernel on CPU 0, the calling thread. */
  run(options?: RunOptions): RunResult;
  /** Runs on a CPU while the calling thread does something else, or on its own. Rejects with what {@link run} throws. */
  runOn(cpu: number, options?: Omit<RunOptions, 'cpu'>): Promise<RunResult>;
  /**
   * Runs on all CPUs of the kernel: on the embedded kernel at once; on Linux, on the CPUs that this process may use, one after the
   * other. @returns the results in the order of CPUs. Rejects, when all have ended, with the first error.
   */
  runOnAll(options?: Omit<RunOptions, 'cpu'>): Promise<RunResult[]>;
  /** Takes what the program has written to a stream of its own since the last time. Throws EOPNOTSUPP on a Linux without streams. */
  readStream(stream: StreamName): string;
  /**
   * Begins to run an iterator, SEC("iter/…"). Throws EINVAL for other programs, for a map that it cannot or need not be given, and
   * for one that sleeps where that cannot be; EBADF without the map that it needs; EACCES where it reaches beyond the map's keys or
   * values; EOPNOTSUPP where the kernel has nothing of the kind.
   */
  iterate(options?: IterateOptions): Iteration;
  /** For calls that shall be cheap. Throws what {@link run} throws for such options, now or when it is run. */
  prepare(options?: PrepareOptions): PreparedRun;
}

/** Instructions of a loaded program, with references filled in. */
export interface XlatedProgram {
  readonly insns: readonly Instruction[];
  /** Its functions, the entry first; slots. */
  readonly subprograms: readonly { readonly name: string; readonly start: number; readonly end: number }[];
  /** The source line of a slot. */
  sourceAt(insn: number): { file: string; text: string; line: number } | undefined;
}

/** What an arena's page is: holds memory, is kept from allocation without memory, or neither. */
export type PageState = 'free' | 'reserved' | 'present';

/** Counts of an arena's pages. */
export interface ArenaStatistics {
  /** Pages the arena may have: max_entries. */
  pages: number;
  /** Pages that hold memory; undefined where the kernel does not tell (Linux). */
  present: number | undefined;
  /** Pages taken by bpf_arena_reserve_pages that hold no memory; undefined likewise. */
  reserved: number | undefined;
  /** The most pages that were present at once; undefined likewise. */
  peak: number | undefined;
}

/** An arena map, as user space sees it. */
export interface ArenaMap extends BpfMap {
  /** The user address of the arena's first byte. */
  readonly userVmStart: bigint;
  /**
   * All bytes of the mapping, from {@link userVmStart} on, without copying: for code that wants speed. A touch through
   * it does not fault pages in: writes to a page that is not present are lost to programs. Make pages present first
   * ({@link touch}, or a view). On Linux every touch faults pages in; where it would be answered with SIGSEGV
   * (BPF_F_SEGV_ON_FAULT) there is no such array, and asking for it throws EOPNOTSUPP. Who has it may give it to other threads: an
   * embedded kernel with one CPU does atomic operations in the arena by plain accesses until it is asked for.
   */
  readonly bytes: Uint8Array;
  /** What typed views look at. Offsets are its own: {@link offsetOf} gives them. */
  readonly memory: ViewMemory;
  /** The offset in {@link memory} of a user address. Throws EFAULT outside the arena. */
  offsetOf(address: bigint): number;
  readonly statistics: ArenaStatistics;
  /** The state of page `index`, counted from the arena's start; undefined where the kernel does not tell. */
  pageState(index: number): PageState | undefined;
  /**
   * User space touches memory: pages that are not present are faulted in, zeroed.
   * @param address a user address. @param length bytes. Throws EFAULT where Linux sends SIGSEGV.
   */
  touch(address: bigint, length: number, writes?: boolean): void;
}

/** Global variables of one section in a kernel: where they are, and the memory they are in. */
export interface LoadedSection {
  readonly name: string;
  readonly variables: readonly Variable[];
  readonly memory: ViewMemory;
  /** Offset in {@link memory} of the section's first byte. */
  readonly base: number;
}

/** An object in a kernel, without the typed access that the public API adds. */
export interface LoadedParts {
  readonly programs: Readonly<Record<string, LoadedProgram>>;
  readonly maps: Readonly<Record<string, BpfMap>>;
  /** The object's arena, if it has one. */
  readonly arena: ArenaMap | undefined;
  /** All sections of global variables, the arena's among them. */
  readonly sections: readonly LoadedSection[];
  close(): void;
}

/** What a kernel has. */
export interface Features {
  kernel: 'embedded' | 'linux';
  programTypes: string[];
  mapTypes: string[];
  helpers: { id: number; name: string }[];
  kfuncs: string[];
  /** What programs can iterate over. */
  iterators: string[];
}

/** What a kernel's verifier says of a program that it accepts. */
export interface Verification {
  /** As long as the kernel's log level asks for. */
  readonly log: string;
}

/** What loads objects and runs programs. */
export interface Kernel<Parts extends LoadedParts = LoadedParts> {
  readonly name: 'embedded' | 'linux';
  /** Loads all programs and maps of an object, or nothing: an error leaves the kernel as it was. */
  load(object: BpfObject): Promise<Parts>;
  /**
   * The verdict on one program of an object; nothing stays in the kernel.
   * @returns what the verifier said. Rejects with VerifierError when the program is refused, and with EOPNOTSUPP when this
   * kernel cannot judge it.
   */
  verify(object: BpfObject, program: ProgramSpec): Promise<Verification>;
  /** Makes a map that belongs to no object. Close it; it closes with the kernel. Throws EINVAL, E2BIG, ENOMEM, EOPNOTSUPP. */
  createMap(settings: NewMap): BpfMap;
  /** Closes what is still loaded. */
  close(): void;
}
