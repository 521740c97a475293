/**
 * A store's pages, as they are between two batches: which ones there are, a copy of them, and a store that is made of such a copy. All
 * links in the arena are lower halves of addresses, so a page has to come back where it was; what holds upper halves is set anew.
 */
import { addressOf, type LoadedObject, sizeOf } from 'bpf-arena';
import {
  BUCKET_BYTES,
  LARGE_CLASS,
  PAGE,
  RING,
  RUN_BYTES,
  SEGMENT_BUCKETS,
  SEGMENT_PAGES,
  SLAB_PAGES,
} from './layout.ts';

/** What a store consists of. */
export interface Image {
  /** Runs of pages: first page of the arena, number of pages. */
  readonly extents: Uint32Array;
  /** Their bytes, one behind the other. */
  readonly bytes: Uint8Array;
}

/** The fields of struct kv that matter here. */
interface Kv {
  budget: number;
  pages: bigint;
  upper: bigint;
  directory: bigint;
  readonly state: bigint;
  readonly segments: number;
  growing: number;
  readonly directory_pages: number;
  readonly buffer_bytes: number;
  readonly started: number;
  readonly port: { commands: bigint; results: bigint }[];
  readonly class: { hand: number; slabs: number; lock: number }[];
}

/** Of an arena: its words, and the lower half of its address. */
function arenaOf(loaded: LoadedObject): {
  bytes: Uint8Array;
  words: Uint32Array;
  low: number;
  start: bigint;
} {
  const { arena } = loaded;
  if (arena === undefined) throw new Error('the store has an arena');
  const { bytes, userVmStart } = arena;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  return { bytes, words, low: Number(userVmStart & 0xffff_ffffn), start: userVmStart };
}

/** Those of struct kv_xdp. */
interface KvXdp {
  port: number;
  cpu: bigint;
  hot: bigint;
  cpus: number;
  hot_pages: number;
}

const kvOf = (loaded: LoadedObject): Kv => loaded.globals.kv as unknown as Kv;

/** Pages of the store's globals: their first, and how many. */
function globalPages(loaded: LoadedObject): [number, number] {
  const { globals } = loaded;
  const { start } = arenaOf(loaded);
  const places = [globals.kv, globals.kv_xdp].map((global) => {
    const at = Number((addressOf(global) ?? start) - start);
    return { at, end: at + sizeOf(global) };
  });
  const first = Math.floor(Math.min(...places.map(({ at }) => at)) / PAGE);
  return [first, Math.ceil(Math.max(...places.map(({ end }) => end)) / PAGE) - first];
}

/** Lists what a store has taken, but for the buffers of its ports, and what its XDP program has for each CPU. */
function listExtents(loaded: LoadedObject): Uint32Array {
  const { words, low } = arenaOf(loaded);
  const kv = kvOf(loaded);
  const list: number[] = [...globalPages(loaded)];
  const add = (address: number, pages: number) => list.push(((address - low) >>> 0) / PAGE, pages);
  const wordAt = (address: number, word: number) => words[(((address - low) >>> 0) >> 2) + word];
  const directory = Number(BigInt.asUintN(32, kv.directory));
  add(directory, kv.directory_pages);
  for (let i = 0; i < kv.segments; i++) add(wordAt(directory, i), SEGMENT_PAGES);
  for (let number = 0; number < kv.class.length; number++) {
    const { hand, slabs } = kv.class[number];
    let at = hand;
    for (let i = 0; i < slabs; i++) {
      add(at, number === LARGE_CLASS ? wordAt(at, RING.pages) : SLAB_PAGES);
      at = wordAt(at, RING.next);
    }
  }
  return Uint32Array.from(list);
}

/** Copies a store, at once: nothing of it may change meanwhile. */
export function takeImage(loaded: LoadedObject): Image {
  const extents = listExtents(loaded);
  const { bytes: from } = arenaOf(loaded);
  let pages = 0;
  for (let i = 1; i < extents.length; i += 2) pages += extents[i];
  const bytes = Buffer.allocUnsafeSlow(pages * PAGE);
  let at = 0;
  for (let i = 0; i < extents.length; i += 2) {
    const start = extents[i] * PAGE;
    bytes.set(from.subarray(start, start + extents[i + 1] * PAGE), at);
    at += extents[i + 1] * PAGE;
  }
  return { extents, bytes };
}

/** Makes a store that was loaded and not started what an image says. Throws where its pages cannot be had. */
export function putImage(loaded: LoadedObject, { extents, bytes }: Image): void {
  const { bytes: to, words, low, start } = arenaOf(loaded);
  const upper = (start >> 32n) << 32n;
  const ctx = new Uint8Array(RUN_BYTES);
  const run = new Uint32Array(ctx.buffer);
  using claim = loaded.programs.kv_claim.prepare({ ctx });
  const take = (page: number, pages: number) => {
    run[0] = (low + page * PAGE) >>> 0;
    run[1] = pages;
    claim.ctx.set(ctx);
    const error = claim.run() | 0;
    if (error !== 0)
      throw new Error(`pages ${page} to ${page + pages - 1} of the arena cannot be had: error ${error}`);
  };
  const [first, count] = globalPages(loaded);
  if (extents[0] !== first || extents[1] !== count) throw new Error("the store's globals are elsewhere");
  // Those are there already, wherever the kernel puts them.
  for (let i = 2; i < extents.length; i += 2) take(extents[i], extents[i + 1]);
  let at = 0;
  for (let i = 0; i < extents.length; i += 2) {
    const size = extents[i + 1] * PAGE;
    to.set(bytes.subarray(at, at + size), extents[i] * PAGE);
    at += size;
  }
  const kv = kvOf(loaded);
  const here = (address: bigint) => upper | BigInt.asUintN(32, address);
  kv.upper = upper;
  kv.directory = here(kv.directory);
  // No lock has an owner any more.
  kv.growing = 0;
  for (const one of kv.class) one.lock = 0;
  for (let i = 0; i < kv.started; i++) {
    const port = kv.port[i];
    for (const name of ['commands', 'results'] as const) {
      port[name] = here(port[name]);
      take(Number(port[name] - start) / PAGE, kv.buffer_bytes / PAGE);
    }
  }
  const xdp = loaded.globals.kv_xdp as unknown as KvXdp;
  // Nothing is answered until the program is started and attached again; then it takes pages anew, and has no hot answers.
  kv.pages -= BigInt(xdp.cpus + xdp.hot_pages);
  Object.assign(xdp, { port: 0, cpu: 0n, hot: 0n, cpus: 0, hot_pages: 0 });
  const directory = Number(kv.directory - start) >> 2;
  for (let i = 0; i < kv.segments; i++) {
    const segment = ((words[directory + i] - low) >>> 0) >> 2;
    for (let bucket = 0; bucket < SEGMENT_BUCKETS; bucket++) {
      const sequence = segment + (bucket * BUCKET_BYTES) / 4;
      if (words[sequence] & 1) words[sequence]++;
    }
  }
}
