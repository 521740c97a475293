import { type BtfBuilder, type BtfType, btfInt } from '../btf/index.ts';
import type { BpfObject } from '../object/object.ts';
import { loadBtf } from './bpf.ts';
import { Fd } from './fd.ts';
import { BTF_FEATURES, type BtfFeature, btfHas } from './probes.ts';

/**
 * An object's BTF in the kernel: maps and programs name its types by id. A kernel that does not know all kinds gets
 * others in their place, of the same size (libbpf: bpf_object__sanitize_btf); one that refuses it altogether gets none,
 * and loading goes on where types only describe.
 */

export interface LoadedBtf {
  readonly fd: Fd;
  /** Gives offsets of strings that were added before the BTF was loaded. */
  readonly strings: BtfBuilder;
}

/**
 * Loads an object's BTF.
 * @param prepare adds the strings that line information needs. @returns undefined when there is none, or the kernel takes
 * none; `warn` gets the reason.
 */
export function loadObjectBtf(
  object: BpfObject,
  prepare: (strings: BtfBuilder) => void,
  warn: (text: string) => void,
): LoadedBtf | undefined {
  const builder = object.loadableBtf();
  if (builder === undefined) return undefined;
  prepare(builder);
  const first = loadBtf(builder.write());
  if (first instanceof Fd) return { fd: first, strings: builder };
  const missing = new Set(BTF_FEATURES.filter((feature) => !btfHas(feature)));
  sanitize(builder, missing);
  const second = missing.size > 0 ? loadBtf(builder.write()) : first;
  if (second instanceof Fd) return { fd: second, strings: builder };
  warn(`the kernel refuses the object's BTF (errno ${-second.result}): ${lastLine(second.log)}`);
  return undefined;
}

function lastLine(log: string): string {
  return log.trimEnd().split('\n').at(-1) ?? '';
}

/** Replaces the kinds that a kernel does not know. Ids and sizes stay. */
export function sanitize(builder: BtfBuilder, missing: ReadonlySet<BtfFeature>): void {
  if (missing.size === 0) return;
  const count = builder.count;
  const u8 = builder.int('unsigned char', 1);
  const wide = missing.has('enum64') ? builder.int('unsigned long long', 8, 0) : 0;
  for (let id = 1; id < count; id++) {
    const replacement = replace(builder, builder.type(id), missing, u8, wide);
    if (replacement !== undefined) builder.set(id, replacement);
  }
}

function replace(
  builder: BtfBuilder,
  type: BtfType,
  missing: ReadonlySet<BtfFeature>,
  u8: number,
  wide: number,
): BtfType | undefined {
  switch (type.kind) {
    case 'var':
      return missing.has('datasec') ? btfInt('', 1) : undefined;
    case 'datasec': {
      if (!missing.has('datasec')) return undefined;
      const members = type.variables.map(({ type: variable, offset }) => ({
        name: builder.type(variable).name.replace(/[^A-Za-z0-9_]/g, '_'),
        type: u8,
        bitOffset: offset * 8,
        bitfieldSize: 0,
      }));
      return { kind: 'struct', name: type.name.replace(/[^A-Za-z0-9_]/g, '_'), size: type.size, members };
    }
    case 'func':
      if (missing.has('func')) return { kind: 'typedef', name: type.name, type: type.type };
      return missing.has('func_global') && type.linkage === 'global'
        ? { ...type, linkage: 'static' }
        : undefined;
    case 'func_proto':
      return missing.has('func') ? { kind: 'enum', name: '', size: 4, signed: false, values: [] } : undefined;
    case 'float':
      return missing.has('float')
        ? { kind: 'struct', name: type.name, size: type.size, members: [] }
        : undefined;
    case 'decl_tag':
      if (missing.has('decl_tag')) return btfInt(type.name.replace(/[^A-Za-z0-9_]/g, '_'), 1);
      return missing.has('attribute') && type.attribute ? { ...type, attribute: false } : undefined;
    case 'type_tag':
      if (missing.has('type_tag')) return { kind: 'const', name: '', type: type.type };
      return missing.has('attribute') && type.attribute ? { ...type, attribute: false } : undefined;
    case 'enum64': {
      if (!missing.has('enum64')) return undefined;
      const members = type.values.map(({ name }) => ({ name, type: wide, bitOffset: 0, bitfieldSize: 0 }));
      return { kind: 'union', name: type.name, size: type.size, members };
    }
    default:
      return undefined;
  }
}
