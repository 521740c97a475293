/**
 * The public API where there is no Node: everything but reading files by path. `src/index.ts` adds that for Node.
 */

import { BpfError } from './errors.ts';
import { type AnyShape, type ObjectShape, OpenedObject } from './opened.ts';
import type { ViewOptions } from './view/index.ts';

export { Btf, printC, printTs, toJson } from './btf/index.ts';
export type { Bytes } from './bytes.ts';
export {
  type EmbeddedKernel,
  type EmbeddedOptions,
  embedded,
  embeddedFeatures,
  type Features,
  runRaw,
} from './embedded/index.ts';
export { BpfError, ERRNO, type ErrnoName, errnoName, FormatError } from './errors.ts';
export { ArenaHeap, type HeapStatistics } from './heap.ts';
export { Violation } from './interpreter/guard.ts';
export { helperId, helperName } from './isa/helper-names.ts';
export { decode, encode, type Instruction, slots } from './isa/instruction.ts';
export { formatInstruction } from './isa/print.ts';
export { formatXlated } from './isa/xlated.ts';
export type * from './kernel.ts';
export { MappedArray } from './mapped-array.ts';
export { MappedValues } from './mapped-values.ts';
export {
  type Annotations,
  annotationsOf,
  type ExpectedMessage,
  missingMessage,
} from './object/annotations.ts';
export type { CodeFunction, CodeSection, Reference } from './object/code.ts';
export type { KconfigValue } from './object/externs.ts';
export { disassemble, type Listed, listingOf } from './object/listing.ts';
export type { MapSpec } from './object/map-spec.ts';
export { MAP_TYPES, type MapTypeName, mapTypeName } from './object/map-types.ts';
export { type ProgramSpec, readTypes } from './object/object.ts';
export { ATTACH_TYPES, PROGRAM_TYPES, type ProgramType } from './object/program-types.ts';
export { assembleObject } from './object/write.ts';
export { type AnyShape, LoadedObject, type ObjectShape, OpenedObject } from './opened.ts';
export type { PerfBufferOptions, PerfRecord } from './perf-ring.ts';
export { type ReadOptions, RecordReader } from './record-reader.ts';
export { RecordWriter } from './record-ring.ts';
export { type Held, TypedMap } from './typed-map.ts';
export { VerifierError } from './verifier/errors.ts';
export {
  ArrayView,
  addressOf,
  castView,
  containerOf,
  elementAt,
  type Plain,
  type PlainOptions,
  Pointer,
  type StructView,
  samePlace,
  sizeOf,
  toPlain,
  type Value,
  type ViewOptions,
  viewOf,
} from './view/index.ts';
export { printWat, type WatOptions } from './wat/index.ts';

/** What {@link open} takes besides the object itself. */
export interface OpenOptions extends ViewOptions {
  /** For messages and map names; default: the file's name without folder and endings. */
  name?: string;
}

/**
 * Opens an object: parses it, loads nothing.
 *
 * @param source the bytes of a relocatable BPF ELF file, or a URL to fetch them from.
 * @throws FormatError for bytes that are no BPF object, naming section and offset; BpfError for what libbpf refuses, EIO
 * for a URL that gives no bytes.
 */
export async function open<Shape extends ObjectShape = AnyShape>(
  source: Uint8Array | ArrayBuffer | URL,
  options: OpenOptions = {},
): Promise<OpenedObject<Shape>> {
  const name = options.name ?? (source instanceof URL ? objectName(source.pathname) : 'object');
  return new OpenedObject<Shape>(await bytesOf(source), name, options);
}

/** `list` from `/programs/list.bpf.o`. */
export function objectName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\..*$/, '') || 'object';
}

async function bytesOf(source: Uint8Array | ArrayBuffer | URL): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof URL) return fetchBytes(source);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  throw new BpfError('EINVAL', 'open takes a URL, a Uint8Array or an ArrayBuffer (in Node also a path)');
}

async function fetchBytes(url: URL): Promise<Uint8Array> {
  let problem: string;
  try {
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    problem = `the server answers ${response.status} ${response.statusText}`.trim();
  } catch (cause) {
    throw new BpfError('EIO', `cannot fetch ${url}: ${(cause as Error).message}`, { cause });
  }
  throw new BpfError('EIO', `cannot fetch ${url}: ${problem}`);
}
