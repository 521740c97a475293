import { BpfError } from '../../errors.ts';
import { MAP_TYPES, mapTypeName } from '../../object/map-types.ts';
import type { IteratorTarget } from '../../verifier/iterators.ts';
import type { Given } from '../cpu.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import type { KernelOffset } from '../layout.ts';
import type { EmbeddedMap } from '../maps/map.ts';
import type { EmbeddedProgram } from '../program.ts';
import { type Elements, elementsOf } from './elements.ts';
import { linkRecord, mapRecord, programRecord } from './records.ts';

/**
 * What iterators of each kind walk over: one row a target that can be run (Linux: struct seq_operations). Kernel objects are visited
 * by their ids, so that what comes and goes meanwhile disturbs nothing.
 */

export interface Walk {
  /** Finds what it stands at, at first the first one. @returns whether there is any. */
  start(): boolean;
  next(): boolean;
  /** What the program is shown behind the first argument: for the object at which it stands, or, at the end, without one. */
  shown(end: boolean): readonly KernelOffset[];
  /** Memory besides records that the program may use while it is shown that: for the checked mode. */
  readonly given: readonly Given[];
  close(): void;
}

export interface WalkOptions {
  readonly kernel: EmbeddedKernel;
  readonly program: EmbeddedProgram;
  readonly map: EmbeddedMap | undefined;
  /** 8 bytes, where an index is shown. */
  readonly key: KernelOffset;
}

const NONE = 0 as KernelOffset;

/** A walk by ids. @param find the object with the least id from `id` on: the id, and its record in kernel memory. */
function byId(find: (id: number) => { id: number; record: KernelOffset } | undefined): Walk {
  let at: ReturnType<typeof find>;
  let from = 1;
  const start = () => {
    at = find(from);
    if (at !== undefined) from = at.id;
    return at !== undefined;
  };
  return {
    start,
    next: () => {
      from++;
      return start();
    },
    shown: (end) => [end ? NONE : (at?.record ?? NONE)],
    given: [],
    close: () => {},
  };
}

/** Those with a cursor (Linux: bpf_iter_attach_map). */
const ITERATED: readonly number[] = [
  MAP_TYPES.hash,
  MAP_TYPES.lru_hash,
  MAP_TYPES.percpu_hash,
  MAP_TYPES.lru_percpu_hash,
  MAP_TYPES.array,
  MAP_TYPES.percpu_array,
];

function elements({ kernel, program, map, key }: WalkOptions): Walk {
  const { name } = program;
  if (map === undefined)
    throw new BpfError(
      'EBADF',
      `program '${name}' iterates over elements: say of which map, iterate({ map })`,
    );
  if (!ITERATED.includes(map.type))
    throw new BpfError('EINVAL', `program '${name}': nobody iterates over a ${mapTypeName(map.type)} map`);
  const found: Elements = elementsOf(kernel, map, key);
  const { keyBytes, valueBytes } = program.verified.facts;
  const beyond = (what: string, reaches: number, size: number) =>
    new BpfError(
      'EACCES',
      `program '${name}' reaches ${reaches} bytes of ${what}, and those of map '${map.name}' have ${size}`,
    );
  if (keyBytes > map.keySize) throw beyond('a key', keyBytes, map.keySize);
  if (valueBytes > found.valueBytes) throw beyond('a value', valueBytes, found.valueBytes);
  return found.walk();
}

/** By target. Others are judged only. */
export const WALKS: Partial<Record<IteratorTarget, (options: WalkOptions) => Walk>> = {
  bpf_map: ({ kernel }) =>
    byId((id) => {
      const map = kernel.mapFrom(id);
      return map && { id: map.id, record: mapRecord(kernel.memory, map) };
    }),
  bpf_prog: ({ kernel }) =>
    byId((id) => {
      const program = kernel.programFrom(id);
      return program && { id: program.id, record: programRecord(kernel, program) };
    }),
  bpf_link: ({ kernel }) =>
    byId((id) => {
      const link = kernel.iterations.from(id);
      return link && { id: link.id, record: linkRecord(kernel, link) };
    }),
  bpf_map_elem: elements,
};

/** What can be iterated over here. */
export const RUNNABLE_ITERATORS = Object.keys(WALKS) as readonly IteratorTarget[];
