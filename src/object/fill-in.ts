import { BpfError } from '../errors.ts';
import { isLdImm64 } from '../isa/instruction.ts';
import {
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
} from '../isa/opcodes.ts';
import type { Extern, Kfunc, Ksym } from './externs.ts';
import type { LinkedProgram } from './link.ts';

/**
 * Writes what a linked program refers to into its instructions, in the form that BPF_PROG_LOAD takes (libbpf:
 * bpf_object__relocate_data). What each reference comes to is the kernel's answer, given through {@link ReferenceTarget}.
 */

/** libbpf's number for calls of weak kfuncs that the kernel lacks; never reached in a correct program. */
const POISONED_KFUNC = 2_002_000_000;

/** A type of the kernel's own BTF, or of a module's. */
export interface KernelType {
  readonly id: number;
  /** For calls: the module's place in `fd_array`; 0 is the kernel itself. */
  readonly offset?: number;
  /** For ld_imm64: the file descriptor of the module's BTF; 0 is the kernel itself. */
  readonly btf?: number;
}

/** A kernel, as the references of a program see it. */
export interface ReferenceTarget {
  /** For messages: `the embedded kernel`. */
  readonly description: string;
  /** What the kernel calls a map in instructions; undefined when the map was not created. */
  map(name: string): number | undefined;
  /** The arena, and where in it the object's globals start (bytes); undefined without an arena. */
  readonly arenaGlobals: { readonly map: number; readonly offset: number } | undefined;
  kfunc(extern: Kfunc): KernelType | undefined;
  /** A kernel variable: its type where BTF has it, or its address. */
  ksym(extern: Ksym): KernelType | { readonly address: bigint } | undefined;
}

/** Fills all references in. Throws ENOENT for maps, ESRCH for kernel symbols that the kernel does not have. */
export function fillIn(linked: LinkedProgram, target: ReferenceTarget): void {
  for (const slot of linked.references.keys()) fillSlot(linked, target, slot);
}

function fillSlot(linked: LinkedProgram, target: ReferenceTarget, slot: number): void {
  const reference = linked.references.get(slot);
  switch (reference?.kind) {
    case 'map':
      wide(linked, slot, BPF_PSEUDO_MAP_FD, mapOf(linked, target, reference.map), 0);
      break;
    case 'data': {
      const map = mapOf(linked, target, reference.section);
      wide(linked, slot, BPF_PSEUDO_MAP_VALUE, map, reference.offset);
      break;
    }
    case 'arena_global': {
      const globals = target.arenaGlobals;
      if (globals === undefined)
        throw new BpfError('ENOENT', `program '${linked.name}': its arena was not created`);
      wide(linked, slot, BPF_PSEUDO_MAP_VALUE, globals.map, globals.offset + reference.offset);
      break;
    }
    case 'extern':
      fillExtern(linked, target, slot, reference.extern);
  }
}

function fillExtern(linked: LinkedProgram, target: ReferenceTarget, slot: number, extern: Extern): void {
  if (extern.kind === 'kconfig') {
    wide(linked, slot, BPF_PSEUDO_MAP_VALUE, mapOf(linked, target, '.kconfig'), extern.offset);
    return;
  }
  const found = extern.kind === 'kfunc' ? target.kfunc(extern) : target.ksym(extern);
  if (found === undefined && !extern.weak) {
    const what = extern.kind === 'kfunc' ? 'func ksym' : 'var ksym';
    const advice = 'declare it __weak and test for it if the program can do without';
    throw new BpfError(
      'ESRCH',
      `extern (${what}) '${extern.name}': not found in ${target.description}; ${advice}`,
    );
  }
  const insn = linked.insns[slot];
  if (isLdImm64(insn)) {
    if (found === undefined) wide(linked, slot, 0, 0, 0);
    else if ('id' in found) wide(linked, slot, BPF_PSEUDO_BTF_ID, found.id, found.btf ?? 0);
    else wide(linked, slot, 0, Number(found.address & 0xffffffffn), Number(found.address >> 32n));
    return;
  }
  const type = found !== undefined && 'id' in found ? found : undefined;
  insn.src = type === undefined ? 0 : BPF_PSEUDO_KFUNC_CALL;
  insn.imm = type?.id ?? POISONED_KFUNC;
  insn.off = type?.offset ?? 0;
}

function wide({ insns }: LinkedProgram, slot: number, src: number, low: number, high: number): void {
  insns[slot].src = src;
  insns[slot].imm = low | 0;
  insns[slot + 1].imm = high | 0;
}

function mapOf(linked: LinkedProgram, target: ReferenceTarget, name: string): number {
  const map = target.map(name);
  if (map !== undefined) return map;
  throw new BpfError('ENOENT', `program '${linked.name}': map '${name}' was not created (autocreate is off)`);
}
