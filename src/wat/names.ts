import type { Reader } from './reader.ts';

/** The `name` section: what functions, locals and all else were called in the source, as identifiers of the text format. */

/** By index. */
export type NameMap = ReadonlyMap<number, string>;

export interface Names {
  readonly module: string | undefined;
  readonly func: NameMap;
  /** By function. */
  readonly local: ReadonlyMap<number, NameMap>;
  readonly label: ReadonlyMap<number, NameMap>;
  readonly type: NameMap;
  readonly table: NameMap;
  readonly memory: NameMap;
  readonly global: NameMap;
  readonly elem: NameMap;
  readonly data: NameMap;
}

const NONE: NameMap = new Map();

export const NO_NAMES: Names = {
  module: undefined,
  func: NONE,
  local: new Map(),
  label: new Map(),
  type: NONE,
  table: NONE,
  memory: NONE,
  global: NONE,
  elem: NONE,
  data: NONE,
};

/** Subsections by their number (core specification, appendix; extended name section proposal). */
const SUBSECTIONS = [
  'module',
  'func',
  'local',
  'label',
  'type',
  'table',
  'memory',
  'global',
  'elem',
  'data',
] as const;

export function readNames(reader: Reader): Names {
  const names: Record<string, unknown> = { ...NO_NAMES };
  while (!reader.done) {
    const id = reader.byte();
    const part = reader.part(reader.u32());
    const subsection = SUBSECTIONS[id];
    if (subsection === undefined) continue;
    if (subsection === 'module') names.module = part.name();
    else if (subsection === 'local' || subsection === 'label')
      names[subsection] = new Map(part.vector(() => [part.u32(), readMap(part)]));
    else names[subsection] = readMap(part);
  }
  return names as unknown as Names;
}

function readMap(reader: Reader): NameMap {
  const taken = new Set<string>();
  return new Map(
    reader.vector(() => {
      const index = reader.u32();
      return [index, unique(identifier(reader.name()), index, taken)];
    }),
  );
}

/** Characters that identifiers of the text format may have (core specification, "Identifiers"). */
const NOT_IN_IDENTIFIERS = /[^0-9A-Za-z!#$%&'*+./:<=>?@\\^_`|~-]/g;

/** `$name`: characters that no identifier has become underscores. */
export function identifier(name: string): string {
  return `$${name.replaceAll(NOT_IN_IDENTIFIERS, '_') || '_'}`;
}

/** A name that nothing before it has: of two that are the same the later one gets its index. */
export function unique(name: string, index: number, taken: Set<string>): string {
  let candidate = name;
  while (taken.has(candidate)) candidate = `${candidate}_${index}`;
  taken.add(candidate);
  return candidate;
}
