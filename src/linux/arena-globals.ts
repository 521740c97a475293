import { BpfError } from '../errors.ts';
import { checkArenaSize, type DataSection } from '../object/data-sections.ts';
import type { AnyShape, ObjectShape, OpenedObject } from '../opened.ts';
import { globalsView, type ViewOptions } from '../view/index.ts';
import type { LinuxArena } from './arena.ts';
import { takesFullRangeOffsets } from './probes.ts';

/** Global variables in an arena: where they lie, and a typed view of those of an arena that exists. */

const PAGE_SIZE = 4096;

/** Bytes into the arena: its start, or its end where the kernel takes offsets that large, as libbpf places them. */
export function arenaGlobalsOffset(maxEntries: number, { contents }: DataSection): number {
  const pages = Math.ceil(contents.length / PAGE_SIZE);
  return takesFullRangeOffsets() ? (maxEntries - pages) * PAGE_SIZE : 0;
}

/**
 * The arena variables of an object that somebody else loaded, also in another process, by the types of the object's BTF:
 * the way into a live arena. Pointers are followed by property access.
 * @param arena as {@link openMapById} or {@link openMapPinned} gave it. @param object the same object, opened; nothing of it
 * is loaded. Throws ENOENT when it has no arena variables or no BTF, E2BIG when they do not fit this arena.
 */
export function arenaGlobals<Shape extends ObjectShape = AnyShape>(
  arena: LinuxArena,
  object: OpenedObject<Shape>,
  options?: ViewOptions,
): Partial<Shape['globals']> {
  const { arenaGlobals: section, types } = object;
  if (section === undefined || types === undefined)
    throw new BpfError('ENOENT', `object '${object.name}' has no variables in an arena, or no BTF`);
  checkArenaSize(arena, section);
  const base = arenaGlobalsOffset(arena.maxEntries, section);
  const { variables } = section;
  return globalsView<Partial<Shape['globals']>>(types, [{ variables, memory: arena.memory, base }], options);
}
