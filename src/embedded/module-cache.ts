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
  const known = entries.get(key);
  if (known !== undefined && same(known.bytes, bytes)) {
    // Used last: to the end of the map's order.
    entries.delete(key);
    entries.set(key, known);
    return known.module;
  }
  const module = new WebAssembly.Module(bytes);
  if (bytes.length > LARGEST) return module;
  entries.set(key, { bytes, module });
  if (entries.size > KEPT) entries.delete(entries.keys().next().value as number);
  return module;
}

/** FNV-1a. */
function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ bytes[i], 0x01000193);
  return value;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
