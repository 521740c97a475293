import { BpfError } from '../errors.ts';
import { isLdImm64 } from '../isa/instruction.ts';
import { BPF_PSEUDO_BTF_ID, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from '../isa/opcodes.ts';
import { fillIn } from '../object/fill-in.ts';
import type { LinkedProgram } from '../object/link.ts';
import type { Arena } from './arena.ts';
import type { EmbeddedKernel } from './kernel.ts';
import { type ArenaAddress, KERNEL_HIGH, kernelPointer, PAGE_SIZE } from './layout.ts';
import { ArenaMap } from './maps/arena.ts';
import type { EmbeddedMap } from './maps/map.ts';

/**
 * What a linked program's references come to in this kernel: map ids, offsets of variables, type ids of kfuncs; and, once
 * they are filled in, the 64-bit values that those stand for.
 */

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
    const arena = this.#arena;
    fillIn(linked, {
      description: 'the embedded kernel',
      map: (name) => this.#maps[name]?.id,
      arenaGlobals: arena && { map: arena.map.id, offset: arena.globals - arena.map.arena.pages.start },
      kfunc: ({ name, weak }) => {
        const id = this.#kernel.btf.idOf(name, 'func');
        // One that only the verifier knows is absent where the program can do without.
        return id === undefined || (weak && this.#kernel.kfunc(id) === undefined) ? undefined : { id };
      },
      // No variable of this kernel is for programs.
      ksym: () => undefined,
    });
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

  /** The maps that the program's instructions refer to. */
  mapsOf({ insns }: LinkedProgram): Set<EmbeddedMap> {
    const maps = insns.map((insn) => {
      const isMap = isLdImm64(insn) && (insn.src === BPF_PSEUDO_MAP_FD || insn.src === BPF_PSEUDO_MAP_VALUE);
      return isMap ? this.#kernel.mapById(insn.imm) : undefined;
    });
    return new Set(maps.filter((map) => map !== undefined));
  }

  /** The arena that the program's instructions refer to. Throws EBUSY for two. */
  arenaOf(linked: LinkedProgram): Arena | undefined {
    const arenas = new Set<Arena>();
    for (const map of this.mapsOf(linked)) if (map instanceof ArenaMap) arenas.add(map.arena);
    if (arenas.size > 1) throw new BpfError('EBUSY', `program '${linked.name}': Only one arena per program`);
    return [...arenas][0];
  }
}
