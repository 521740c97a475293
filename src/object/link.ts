import type { CoreRelo, LineInfo } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { INSN_SIZE, type Instruction } from '../isa/instruction.ts';
import type { CodeFunction, Reference } from './code.ts';
import type { ObjectFile } from './object-file.ts';

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

/** Linux: BPF_COMPLEXITY_LIMIT_INSNS bounds a program; more cannot be loaded. */
const MAX_INSNS = 1_000_000;

/** Links the program whose entry is `entry`. Throws E2BIG when it has more than a million instructions. */
export function linkProgram(file: ObjectFile, entry: CodeFunction): LinkedProgram {
  const placed = new Map<CodeFunction, number>();
  const order: CodeFunction[] = [];
  let size = 0;
  const pending = [entry];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (placed.has(next)) continue;
    placed.set(next, size);
    order.push(next);
    size += next.end - next.start;
    if (size > MAX_INSNS)
      throw new BpfError('E2BIG', `program '${entry.name}': more than ${MAX_INSNS} instructions`);
    pending.unshift(...calleesOf(next));
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

/** The functions that a function calls or takes the address of, in order. */
function calleesOf(caller: CodeFunction): CodeFunction[] {
  const callees: CodeFunction[] = [];
  for (let slot = caller.start; slot < caller.end; slot++) {
    const reference = caller.section.references.get(slot);
    if (reference?.kind === 'call' || reference?.kind === 'function') callees.push(reference.callee);
  }
  return callees;
}

/** The records of a function's instructions; tables are sorted, and large in large objects. */
function recordsOf<Row extends { readonly insnOffset: number }>(
  table: ReadonlyMap<string, readonly Row[]> | undefined,
  { section, start, end }: CodeFunction,
): readonly Row[] {
  const rows = table?.get(section.name) ?? [];
  return rows.slice(firstFrom(rows, start * INSN_SIZE), firstFrom(rows, end * INSN_SIZE));
}

function firstFrom(rows: readonly { readonly insnOffset: number }[], offset: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle].insnOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
