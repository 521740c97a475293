import { BpfError } from '../errors.ts';
import { isLdImm64 } from '../isa/instruction.ts';
import {
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
} from '../isa/opcodes.ts';
import type { Extern } from '../object/externs.ts';
import type { LinkedProgram } from '../object/link.ts';
import type { Arena } from './arena.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { type ArenaAddress, KERNEL_HIGH, kernelPointer, PAGE_SIZE } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedMap } from './maps/map.ts';

/**
 * What a linked program's references come to in this kernel: map ids, offsets of variables, type ids of kfuncs, written
 * into the instructions as BPF_PROG_LOAD takes them; and afterwards the 64-bit values that those stand for.
 */

/** libbpf's number for calls of weak kfuncs that the kernel lacks; never reached in a correct program. */
const POISONED_KFUNC = 2_002_000_000;

/** An object's arena, and where in it the object's globals start. */
export interface PlacedArena {
  readonly map: ArenaMap;
  readonly globals: ArenaAddress;
}

export class References {
  readonly #kernel: EmbeddedKernel;
  readonly #maps: Readonly<Record<string, EmbeddedMap>>;
  readonly #arena: PlacedArena | undefined;

  constructor(
    kernel: EmbeddedKernel,
    maps: Readonly<Record<string, EmbeddedMap>>,
    arena: PlacedArena | undefined,
  ) {
    this.#kernel = kernel;
    this.#maps = maps;
    this.#arena = arena;
  }

  /** Fills all references in. Throws ENOENT, ESRCH for what this kernel does not have. */
  fillIn(linked: LinkedProgram): void {
    for (const slot of linked.references.keys()) this.#fillInSlot(linked, slot);
  }

  /** Writes what a reference comes to in this kernel into its instruction, in the form that BPF_PROG_LOAD takes. */
  #fillInSlot(linked: LinkedProgram, slot: number): void {
    const { insns, references } = linked;
    const reference = references.get(slot);
    const insn = insns[slot];
    const wide = (src: number, low: number, high: number) => {
      insn.src = src;
      insn.imm = low;
      insns[slot + 1].imm = high | 0;
    };
    switch (reference?.kind) {
      case 'map':
        wide(BPF_PSEUDO_MAP_FD, this.#mapId(linked, reference.map), 0);
        break;
      case 'data':
        wide(BPF_PSEUDO_MAP_VALUE, this.#mapId(linked, reference.section), reference.offset);
        break;
      case 'arena_global': {
        const arena = this.#arena;
        if (arena === undefined)
          throw new BpfError('ENOENT', `program '${linked.name}': its arena was not created`);
        const offset = arena.globals - arena.map.arena.pages.start + reference.offset;
        wide(BPF_PSEUDO_MAP_VALUE, arena.map.id, offset);
        break;
      }
      case 'extern':
        this.#fillInExtern(linked, slot, reference.extern, wide);
    }
  }

  #fillInExtern(
    linked: LinkedProgram,
    slot: number,
    extern: Extern,
    wide: (src: number, low: number, high: number) => void,
  ): void {
    const insn = linked.insns[slot];
    if (extern.kind === 'kconfig') {
      wide(BPF_PSEUDO_MAP_VALUE, this.#mapId(linked, '.kconfig'), extern.offset);
      return;
    }
    const id = extern.kind === 'kfunc' ? this.#kernel.btf.idOf(extern.name, 'func') : undefined;
    if (id === undefined && !extern.weak) {
      const what = extern.kind === 'kfunc' ? 'func ksym' : 'var ksym';
      const advice = 'declare it __weak and test for it if the program can do without';
      throw new BpfError(
        'ESRCH',
        `extern (${what}) '${extern.name}': not found in the embedded kernel; ${advice}`,
      );
    }
    if (isLdImm64(insn)) {
      wide(id === undefined ? 0 : BPF_PSEUDO_BTF_ID, id ?? 0, 0);
      return;
    }
    insn.src = id === undefined ? 0 : BPF_PSEUDO_KFUNC_CALL;
    insn.imm = id ?? POISONED_KFUNC;
    insn.off = 0;
  }

  /** The 64-bit value that a filled-in ld_imm64 loads. */
  value(linked: LinkedProgram, index: number): bigint | undefined {
    const insn = linked.insns[index];
    const offset = (linked.insns[index + 1]?.imm ?? 0) >>> 0;
    switch (insn.src) {
      case BPF_PSEUDO_MAP_FD:
        return kernelPointer((this.#kernel.mapById(insn.imm) as EmbeddedMap).header);
      case BPF_PSEUDO_MAP_VALUE:
        return this.#valueAddress(linked, index, this.#kernel.mapById(insn.imm) as EmbeddedMap, offset);
      case BPF_PSEUDO_BTF_ID:
        // Not NULL, and in pages that are never handed out: programs only ask whether it is there.
        return (BigInt(KERNEL_HIGH >>> 0) << 32n) | BigInt(insn.imm);
      default:
        return undefined;
    }
  }

  #valueAddress(linked: LinkedProgram, index: number, map: EmbeddedMap, offset: number): bigint {
    if (map instanceof ArenaMap) {
      if (offset <= map.maxEntries * PAGE_SIZE) return map.arena.userVmStart + BigInt(offset);
      throw new BpfError(
        'ERANGE',
        `program '${linked.name}', instruction ${index}: offset ${offset} is beyond the arena`,
      );
    }
    const address = map.valueAddress(offset);
    if (address !== undefined) return kernelPointer(address);
    const problem = `invalid access to map value pointer, value_size=${map.valueSize} off=${offset}`;
    throw new BpfError('EINVAL', `program '${linked.name}', instruction ${index}: ${problem}`);
  }

  #mapId(linked: LinkedProgram, name: string): number {
    const map = this.#maps[name];
    if (map !== undefined) return map.id;
    throw new BpfError(
      'ENOENT',
      `program '${linked.name}': map '${name}' was not created (autocreate is off)`,
    );
  }

  /** The arena that the program's instructions refer to. Throws EBUSY for two. */
  arenaOf(linked: LinkedProgram): Arena | undefined {
    const arenas = new Set<Arena>();
    for (const insn of linked.insns) {
      if (!isLdImm64(insn) || (insn.src !== BPF_PSEUDO_MAP_FD && insn.src !== BPF_PSEUDO_MAP_VALUE)) continue;
      const map = this.#kernel.mapById(insn.imm);
      if (map instanceof ArenaMap) arenas.add(map.arena);
    }
    if (arenas.size > 1) throw new BpfError('EBUSY', `program '${linked.name}': Only one arena per program`);
    return [...arenas][0];
  }
}
