import type { Btf } from '../btf/index.ts';
import { rawRunOptions } from '../bytes.ts';
import { BpfError, ERRNO, type ErrnoName, errnoName } from '../errors.ts';
import { programFacts } from '../facts.ts';
import { decode, encode, INSN_SIZE } from '../isa/instruction.ts';
import { notRunAlone } from '../iteration.ts';
import type {
  IterateOptions,
  Iteration,
  LoadedProgram,
  PreparedRun,
  PrepareOptions,
  RunOptions,
  RunResult,
  StreamName,
  XlatedProgram,
} from '../kernel.ts';
import { type LinkedProgram, sourceLookup } from '../object/link.ts';
import type { ProgramSpec } from '../object/object.ts';
import { ATTACH_TYPES, PROGRAM_TYPES, type ProgramType } from '../object/program-types.ts';
import { showAs } from '../shown.ts';
import { VerifierError } from '../verifier/errors.ts';
import { attachTarget } from './attach-target.ts';
import { bpf, cString, infoOf, loadProgram, pin } from './bpf.ts';
import { type Closable, type Fd, linuxError } from './fd.ts';
import { LinuxIteration } from './iteration.ts';
import type { KernelTypes } from './kernel-types.ts';
import type { Info } from './layouts.ts';
import { type LiveFrames, runLiveFrames } from './live-frames.ts';
import type { LoadedBtf } from './object-btf.ts';
import { LinuxPreparedRun } from './prepared-run.ts';
import { allowedCpus, testRun } from './test-run.ts';

/**
 * A program in Linux: BPF_PROG_LOAD with all that the verifier can use to explain itself, the error when it refuses, and
 * the loaded program, which can be run and looked at.
 */

const BPF_F_SLEEPABLE = 1 << 4;
const BPF_F_XDP_HAS_FRAGS = 1 << 5;
const FUNC_INFO_BYTES = 8;
const LINE_INFO_BYTES = 16;

/** What loading a program needs besides the program. */
export interface ProgramEnvironment {
  readonly license: string;
  readonly btf: LoadedBtf | undefined;
  readonly types: KernelTypes;
  /** As {@link loadProgram} takes it. */
  readonly logLevel: number;
}

/** Linux: BPF_STREAM_MAX_CAPACITY: no stream holds more. */
const STREAM_BYTES = 100_000;

export class LinuxProgram implements LoadedProgram, Closable {
  readonly name: string;
  readonly type: ProgramType;
  readonly section: string;
  readonly spec: ProgramSpec;
  /** What the verifier said, where a log was asked for. */
  readonly log: string;
  readonly #fd: Fd;
  readonly #strings: LoadedBtf['strings'] | undefined;
  #xlated: XlatedProgram | undefined;
  readonly #iterations = new Set<LinuxIteration>();

  readStream(stream: StreamName): string {
    const buffer = new Uint8Array(STREAM_BYTES);
    const { result } = bpf('prog_stream_read_by_fd', {
      stream_buf: buffer,
      stream_buf_len: buffer.length,
      stream_id: stream === 'stdout' ? 1 : 2,
      prog_fd: this.#fd.number,
    });
    if (result === -ERRNO.EINVAL)
      throw new BpfError('EOPNOTSUPP', 'this Linux has no streams of programs; 6.17 and newer have');
    if (result < 0) throw linuxError(result, `reading ${stream} of program '${this.name}'`);
    return Buffer.from(buffer.buffer, 0, result).toString('latin1');
  }

  get handle(): number {
    return this.#fd.number;
  }

  private constructor(spec: ProgramSpec, fd: Fd, log: string, strings: LoadedBtf['strings'] | undefined) {
    this.spec = spec;
    this.name = spec.name;
    this.type = spec.type;
    this.section = spec.section;
    this.log = log;
    this.#fd = fd;
    this.#strings = strings;
  }

  /** Loads a program whose references are filled in. Throws {@link VerifierError} when the kernel refuses it. */
  static load(spec: ProgramSpec, linked: LinkedProgram, environment: ProgramEnvironment): LinuxProgram {
    const { license, btf, types, logLevel } = environment;
    const insns = encode(linked.insns);
    const target = attachTarget(spec, types);
    const fdArray = types.fdArray;
    const { fd, result, log } = loadProgram(
      {
        prog_type: PROGRAM_TYPES[spec.type],
        expected_attach_type:
          target?.member ?? (spec.attachType === undefined ? 0 : ATTACH_TYPES[spec.attachType]),
        insns,
        insn_cnt: linked.insns.length,
        license: cString(license),
        prog_flags:
          spec.flags | (spec.sleepable ? BPF_F_SLEEPABLE : 0) | (spec.frags ? BPF_F_XDP_HAS_FRAGS : 0),
        prog_name: spec.name.replace(/[^A-Za-z0-9_.]/g, '_'),
        attach_btf_id: target?.id ?? 0,
        attach_btf_obj_fd: target?.btf ?? 0,
        ...(fdArray && { fd_array: fdArray }),
        ...(btf && debugInfo(linked, btf)),
      },
      logLevel,
    );
    if (fd === undefined) throw rejection(linked, result, log);
    return new LinuxProgram(spec, fd, log, btf?.strings);
  }

  get info(): Info<'prog'> {
    return infoOf('prog', this.#fd.number);
  }

  get id(): number {
    return this.info.id;
  }

  /** Throws EBADF when the program is closed. */
  get fdNumber(): number {
    return this.#fd.number;
  }

  get insnCount(): number {
    return this.info.xlated_prog_len / INSN_SIZE;
  }

  /** Instructions the verifier looked at. */
  get verifiedInsns(): number {
    return this.info.verified_insns;
  }

  get xlated(): XlatedProgram {
    this.#xlated ??= readXlated(this.name, this.#fd.number, this.#strings?.build());
    return this.#xlated;
  }

  iterate(options: IterateOptions = {}): Iteration {
    const iteration = new LinuxIteration(this, options, (each) => this.#iterations.delete(each));
    this.#iterations.add(iteration);
    return iteration;
  }

  /** BPF_PROG_TEST_RUN. Throws EBADF when closed, ENOTSUPP when Linux cannot run this type without attaching it, EFAULT for an iterator. */
  run(options: RunOptions = {}): RunResult {
    if (this.spec.attachType === 'trace_iter') throw notRunAlone(this.name);
    return testRun(this.#fd.number, this.name, this.type, rawRunOptions(this.name, options));
  }

  /** Likewise on a CPU, to which the calling thread moves for as long as that takes. */
  async runOn(cpu: number, options: Omit<RunOptions, 'cpu'> = {}): Promise<RunResult> {
    return this.run({ ...options, cpu });
  }

  /** Likewise on all CPUs that the calling thread may use, one after the other. */
  async runOnAll(options: Omit<RunOptions, 'cpu'> = {}): Promise<RunResult[]> {
    return allowedCpus().map((cpu) => this.run({ ...options, cpu }));
  }

  /**
   * Runs an XDP program on live frames: what it says of each packet is done. @returns nanoseconds a packet. Throws EINVAL for
   * programs of other types and where the kernel takes no such run, ENODEV without the interface.
   */
  runLive(frames: LiveFrames): number {
    return runLiveFrames(this.#fd.number, this.name, this.type, frames);
  }

  /** Likewise, for many calls with the same context. */
  prepare(options: PrepareOptions = {}): PreparedRun {
    if (this.spec.attachType === 'trace_iter') throw notRunAlone(this.name);
    return new LinuxPreparedRun(this.#fd, this.name, this.type, options);
  }

  /** Pins it at a path of a BPF file system: it then outlives this process. */
  pin(path: string): void {
    pin(this.#fd.number, path);
  }

  close(): void {
    for (const iteration of [...this.#iterations]) iteration.close();
    this.#fd.close();
  }
}

/** Which function starts where, and the source of each line. All functions, or none: the kernel takes nothing between. */
function debugInfo({ functions, lines }: LinkedProgram, { fd, strings }: LoadedBtf) {
  if (functions.some(({ type }) => type === 0)) return { prog_btf_fd: fd.number };
  const funcs = Uint32Array.from(functions.flatMap(({ start, type }) => [start, type]));
  const sources = Uint32Array.from(
    lines.flatMap(({ insn, info }) => [
      insn,
      strings.string(info.fileName),
      strings.string(info.text),
      (info.line << 10) | Math.min(info.column, 0x3ff),
    ]),
  );
  return {
    prog_btf_fd: fd.number,
    func_info: funcs,
    func_info_cnt: functions.length,
    func_info_rec_size: FUNC_INFO_BYTES,
    ...(lines.length > 0 && {
      line_info: sources,
      line_info_cnt: lines.length,
      line_info_rec_size: LINE_INFO_BYTES,
    }),
  };
}

/** Lines that the verifier writes after everything else, or to show what it has just said. */
const STATISTICS = /^(processed \d+ insns|verification time|stack depth|mark_precise|(cur|old) state:|\s*$)/;
/** Said in the middle of a line that shows an instruction. */
const TOO_LARGE = /BPF program is too large\..*/;

/** The error for a refused program: its last line says why, the last instruction before it says where. */
function rejection(linked: LinkedProgram, result: number, log: string): VerifierError | BpfError {
  const name = errnoName(result);
  const code: ErrnoName = name in ERRNO ? (name as ErrnoName) : 'EINVAL';
  const lines = log.split('\n').filter((line) => !STATISTICS.test(line));
  const last = lines.at(-1) ?? `Linux refuses it with ${name}, and says no more`;
  const problem = TOO_LARGE.exec(last)?.[0] ?? last;
  const at = lines.findLast((line) => /^\d+: \(/.test(line));
  const program = { name: linked.name, sourceAt: sourceLookup(linked) };
  return new VerifierError(
    program,
    at === undefined ? undefined : Number.parseInt(at, 10),
    problem,
    code,
    log,
  );
}

/** The program as the kernel has it now: rewritten, with the functions and lines that are left. */
function readXlated(name: string, fd: number, btf: Btf | undefined): XlatedProgram {
  const sizes = infoOf('prog', fd);
  const code = new Uint8Array(sizes.xlated_prog_len);
  const funcs = new Uint32Array(2 * sizes.nr_func_info);
  const lines = new Uint32Array(4 * sizes.nr_line_info);
  infoOf('prog', fd, {
    xlated_prog_len: code.length,
    xlated_prog_insns: code,
    ...(funcs.length > 0 && {
      nr_func_info: sizes.nr_func_info,
      func_info_rec_size: FUNC_INFO_BYTES,
      func_info: funcs,
    }),
    ...(lines.length > 0 && {
      nr_line_info: sizes.nr_line_info,
      line_info_rec_size: LINE_INFO_BYTES,
      line_info: lines,
    }),
  });
  const insns = decode(code, `program '${name}'`);
  const starts = Array.from({ length: sizes.nr_func_info }, (_, i) => ({
    start: funcs[2 * i],
    name: btf?.nameOf(funcs[2 * i + 1]) ?? name,
  }));
  if (starts.length === 0) starts.push({ start: 0, name });
  const subprograms = starts.map((each, i) => ({ ...each, end: starts[i + 1]?.start ?? insns.length }));
  return {
    insns,
    subprograms,
    sourceAt: (insn) => (btf === undefined ? undefined : lineAt(lines, btf, insn)),
  };
}

function lineAt(lines: Uint32Array, btf: Btf, insn: number) {
  let low = 0;
  let high = lines.length / 4;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lines[4 * middle] <= insn) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const [, file, text, position] = lines.subarray(4 * (low - 1), 4 * low);
  return { file: btf.string(file), text: btf.string(text), line: position >>> 10 };
}

showAs(LinuxProgram, programFacts);
