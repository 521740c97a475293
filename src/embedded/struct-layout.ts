import type { BtfMember } from '../btf/index.ts';
import { embeddedBtf } from './btf.ts';

/** Where the fields of this kernel's own structures are: its BTF says it, to programs and to whoever fills them in. */

export interface StructLayout {
  /** Bytes. */
  readonly size: number;
  /** Bytes from the structure's start to a field, one of an unnamed part too. Throws TypeError where there is none. */
  at(field: string): number;
}

const known = new Map<string, StructLayout>();

export function structLayout(name: string): StructLayout {
  let layout = known.get(name);
  if (layout === undefined) {
    const btf = embeddedBtf();
    const type = btf.type(btf.idOf(name, 'struct') ?? 0);
    if (type.kind !== 'struct') throw new TypeError(`there is no struct ${name}`);
    const offsets = new Map<string, number>();
    collect(type.members, 0, offsets);
    layout = {
      size: type.size,
      at: (field) => offsets.get(field) ?? missing(name, field),
    };
    known.set(name, layout);
  }
  return layout;
}

function collect(members: readonly BtfMember[], base: number, offsets: Map<string, number>): void {
  const btf = embeddedBtf();
  for (const { name, type, bitOffset } of members) {
    const at = base + bitOffset / 8;
    const inner = btf.type(btf.resolve(type));
    if (name !== '') offsets.set(name, at);
    else if (inner.kind === 'struct' || inner.kind === 'union') collect(inner.members, at, offsets);
  }
}

function missing(struct: string, field: string): never {
  throw new TypeError(`struct ${struct} has no ${field}`);
}
