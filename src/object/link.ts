import type { CoreRelo, LineInfo } from '../btf/index.ts';
import { BpfError, FormatError } from '../errors.ts';
import { INSN_SIZE, type Instruction, isLdImm64, slots } from '../isa/instruction.ts';
import {
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
} from '../isa/opcodes.ts';
import type { CodeFunction, CodeSection, Reference } from './code.ts';
import type { ObjectFile } from './object-file.ts';
import { countBefore } from './search.ts';

/**
 * Puts a program and everything it calls into one run of instructions, as BPF_PROG_LOAD wants it: the entry function
 * first, each callee behind it in the order of its first call (libbpf: bpf_object__reloc_code). Records that belong to
 * an instruction move along.
 */

/** A function in a linked program. Slots count from the program's start. */
export interface LinkedFunction {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly linkage: 'static' | 'global';
  /** Type id of its func in the object's BTF, 0 when it has none. */
  readonly type: number;
}

/** The source of the instructions from a slot on. */
export interface LinkedLine {
  readonly insn: number;
  readonly info: LineInfo;
}

export interface LinkedProgram {
  readonly name: string;
  /** Calls among its functions are already relative; other references are not filled in. */
  readonly insns: Instruction[];
  readonly functions: readonly LinkedFunction[];
  /** Slot → what it refers to; calls among functions are left out. */
  readonly references: ReadonlyMap<number, Exclude<Reference, { kind: 'call' | 'function' }>>;
  /** Slot → CO-RE relocation. */
  readonly coreRelos: ReadonlyMap<number, CoreRelo>;
  /** In ascending order; a record holds until the next. */
  readonly lines: readonly LinkedLine[];
}

/** Where an instruction comes from. */
export interface SourceLine {
  file: string;
  /** The text of the line. */
  text: string;
  /** Counted from 1. */
  line: number;
  /** Counted from 1; 0 when unknown. */
  column: number;
}

/** Linux: BPF_COMPLEXITY_LIMIT_INSNS bounds a program; more cannot be loaded. */
const MAX_INSNS = 1_000_000;

/**
 * Links the program whose entry is `entry`.
 *
 * @param code where the functions are that are called by name.
 * @throws E2BIG when it has more than a million instructions.
 */
export function linkProgram(
  file: ObjectFile,
  entry: CodeFunction,
  code: readonly CodeSection[] = [],
): LinkedProgram {
  const placed = new Map<CodeFunction, number>();
  const order: CodeFunction[] = [];
  let size = 0;
  // What an exception calls comes last, unless something else called it before.
  const pending = [...exceptionCallbackOf(file, entry, code), entry];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (placed.has(next)) continue;
    check(next);
    placed.set(next, size);
    order.push(next);
    size += next.end - next.start;
    if (size > MAX_INSNS)
      throw new BpfError('E2BIG', `program '${entry.name}': more than ${MAX_INSNS} instructions`);
    // The first callee is to be placed next, with what it calls, before the second.
    for (const callee of calleesOf(next).reverse()) pending.push(callee);
  }
  const insns: Instruction[] = [];
  const references = new Map<number, Exclude<Reference, { kind: 'call' | 'function' }>>();
  const coreRelos = new Map<number, CoreRelo>();
  const lines: LinkedLine[] = [];
  for (const each of order) {
    const shift = (placed.get(each) as number) - each.start;
    for (let slot = each.start; slot < each.end; slot++) {
      const insn = { ...each.section.insns[slot] };
      const reference = each.section.references.get(slot);
      insns.push(insn);
      if (reference === undefined) continue;
      if (reference.kind === 'call' || reference.kind === 'function') {
        insn.src = reference.kind === 'call' ? BPF_PSEUDO_CALL : BPF_PSEUDO_FUNC;
        insn.imm = (placed.get(reference.callee) as number) - (slot + shift) - 1;
      } else references.set(slot + shift, reference);
    }
    for (const relo of recordsOf(file.ext?.coreRelos, each))
      coreRelos.set(relo.insnOffset / INSN_SIZE + shift, relo);
    for (const info of recordsOf(file.ext?.lineInfo, each)) {
      lines.push({ insn: info.insnOffset / INSN_SIZE + shift, info });
    }
  }
  const functions = order.map((each): LinkedFunction => {
    const start = placed.get(each) as number;
    const type = recordsOf(file.ext?.funcInfo, each)[0]?.type ?? 0;
    return { name: each.name, start, end: start + each.end - each.start, linkage: each.linkage, type };
  });
  return { name: entry.name, insns, functions, references, coreRelos, lines };
}

/** Sources of ld_imm64 whose immediate is a file descriptor, or an index among those of BPF_PROG_LOAD. */
const MAP_SOURCES: readonly number[] = [
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
];

/** Finds the source line of a slot: the last record that starts at or before it. */
export function sourceLookup({ lines }: LinkedProgram): (slot: number) => SourceLine | undefined {
  const sorted = [...lines].sort((a, b) => a.insn - b.insn);
  return (slot: number) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle].insn <= slot) low = middle + 1;
      else high = middle;
    }
    const info = sorted[low - 1]?.info;
    return info && { file: info.fileName, text: info.text, line: info.line, column: info.column };
  };
}

/** Refuses a function that ends inside a ld_imm64, and maps by number: in an object those would be anybody's. */
function check({ name, section, start, end }: CodeFunction): void {
  let slot = start;
  for (; slot < end; slot += slots(section.insns[slot])) {
    const insn = section.insns[slot];
    if (!isLdImm64(insn) || !MAP_SOURCES.includes(insn.src) || section.references.has(slot)) continue;
    const problem = `fd ${insn.imm} is not pointing to valid bpf_map; refer to maps by their symbol`;
    throw new BpfError('EBADF', `function '${name}', instruction ${slot - start}: ${problem}`);
  }
  if (slot === end) return;
  throw new FormatError(section.name, end * INSN_SIZE, `function '${name}' ends in the middle of a ld_imm64`);
}

/** The function that the entry's tag `exception_callback:` names (libbpf: bpf_prog_assign_exc_cb). */
function exceptionCallbackOf(
  file: ObjectFile,
  entry: CodeFunction,
  code: readonly CodeSection[],
): CodeFunction[] {
  const type = recordsOf(file.ext?.funcInfo, entry)[0]?.type ?? 0;
  const tag =
    type === 0 ? undefined : file.btf?.declTags(type).find((each) => each.startsWith(EXCEPTION_TAG));
  const name = tag?.slice(EXCEPTION_TAG.length);
  return code.flatMap(({ functions }) => functions.filter((each) => each.name === name));
}

const EXCEPTION_TAG = 'exception_callback:';

/** The functions that a function calls or takes the address of, each once, in order. */
function calleesOf(caller: CodeFunction): CodeFunction[] {
  const callees = new Set<CodeFunction>();
  for (let slot = caller.start; slot < caller.end; slot++) {
    const reference = caller.section.references.get(slot);
    if (reference?.kind === 'call' || reference?.kind === 'function') callees.add(reference.callee);
  }
  return [...callees];
}

/** The records of a function's instructions; tables are sorted, and large in large objects. */
function recordsOf<Row extends { readonly insnOffset: number }>(
  table: ReadonlyMap<string, readonly Row[]> | undefined,
  { section, start, end }: CodeFunction,
): readonly Row[] {
  const rows = table?.get(section.name) ?? [];
  const before = (slot: number) => countBefore(rows, slot * INSN_SIZE, ({ insnOffset }) => insnOffset);
  return rows.slice(before(start), before(end));
}
