/**
 * WebAssembly modules by their bytes: the same program loaded into the next kernel comes to the same bytes most of the
 * time, and compiling them costs more than all else of loading. The ones used last are kept.
 */

const KEPT = 100;
/** Larger ones are seldom loaded twice, and would hold memory. */
const LARGEST = 1 << 20;

interface Entry {
  readonly bytes: Uint8Array;
  readonly module: WebAssembly.Module;
}

const entries = new Map<number, Entry>();

/** Compiles a module, or takes the one that was made of the same bytes. */
export function moduleOf(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  const key = hash(bytes);
  return known(key, bytes) ?? keep(key, bytes, new WebAssembly.Module(bytes));
}

/** Likewise, while the calling thread does something else. */
export async function moduleLater(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  const key = hash(bytes);
  return known(key, bytes) ?? keep(key, bytes, await WebAssembly.compile(bytes));
}

function known(key: number, bytes: Uint8Array): WebAssembly.Module | undefined {
  const entry = entries.get(key);
  if (entry === undefined || !same(entry.bytes, bytes)) return undefined;
  // Used last: to the end of the map's order.
  entries.delete(key);
  entries.set(key, entry);
  return entry.module;
}

function keep(key: number, bytes: Uint8Array, module: WebAssembly.Module): WebAssembly.Module {
  if (bytes.length > LARGEST) return module;
  entries.delete(key);
  entries.set(key, { bytes, module });
  if (entries.size > KEPT) entries.delete(entries.keys().next().value as number);
  return module;
}

/** FNV-1a. Modules that have the same one push each other out. */
export function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ bytes[i], 0x01000193);
  return value;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
