/**
 * Snapshots: a store's image in a file, and back. The file is sparse: behind a header, a page stands where it stands in the arena. It is
 * written beside the last one and takes its name when it is complete and on the disk, so there is always one that is whole. What is in
 * a file is believed only when everything fits: its magic and version, the object's hash, the kernel, the memory, and the checksums.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Image } from './image.ts';
import { PAGE } from './layout.ts';

const MAGIC = 'arena-kv image 1\n';
/** Bytes that are written at once. */
const PIECE = 4 << 20;

/** What has to be the same in a store that takes a snapshot. */
export interface Identity {
  /** SHA-256 of the object file. */
  readonly object: string;
  readonly kernel: string;
  /** MiB. */
  readonly memory: number;
  /** The lower half of the arena's address. */
  readonly low: number;
}

interface Header extends Identity {
  /** Of the hash: keys are where it puts them. */
  readonly seed: number;
  /** Of the image's bytes. */
  readonly checksum: number;
  /** Bytes of the list of extents, and its checksum. */
  readonly listBytes: number;
  readonly listChecksum: number;
  /** Seconds since 1970. */
  readonly time: number;
}

/** A snapshot that was read. */
export interface Restored {
  readonly image: Image;
  readonly seed: number;
  readonly time: number;
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const roundUp = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;

/** The file that a snapshot is written to before it is complete. */
const incomplete = (file: string): string => `${file}.new`;

/** Writes all of some bytes: one write may take a part of them, where the disk is full. Throws what the file system says. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw new Error('the file system takes no more');
    done += bytesWritten;
  }
}

/** Writes a snapshot. Throws what the file system says; then the last one is still there, and nothing of this one. */
export async function writeSnapshot(
  file: string,
  image: Image,
  identity: Identity,
  seed: number,
): Promise<void> {
  const list = new Uint8Array(image.extents.buffer, image.extents.byteOffset, image.extents.byteLength);
  const listChecksum = crc32(list);
  const make = (checksum: number): Buffer => {
    const header: Header = {
      ...identity,
      seed,
      checksum,
      listBytes: list.length,
      listChecksum,
      time: Math.floor(Date.now() / 1000),
    };
    return Buffer.from(`${MAGIC}${JSON.stringify(header)}\n`);
  };
  // The header has a page of its own.
  const data = PAGE + roundUp(list.length);
  const path = incomplete(file);
  const handle = await open(path, 'w', 0o600);
  try {
    await writeTo(handle);
  } catch (error) {
    // What there is of it would keep a full disk full.
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
  await handle.close();
  await rename(path, file);
  const folder = await open(dirname(file), constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }

  async function writeTo(handle: FileHandle): Promise<void> {
    let checksum = 0;
    let at = 0;
    for (let i = 0; i < image.extents.length; i += 2) {
      const size = image.extents[i + 1] * PAGE;
      for (let done = 0; done < size; done += PIECE) {
        const piece = image.bytes.subarray(at + done, at + Math.min(size, done + PIECE));
        checksum = crc32(piece, checksum);
        await writeAll(handle, piece, data + image.extents[i] * PAGE + done);
      }
      at += size;
    }
    const header = make(checksum);
    await writeAll(handle, list, PAGE);
    await writeAll(handle, header, 0);
    await handle.sync();
  }
}

/**
 * Reads a snapshot for a store.
 * @returns it, undefined where there is none, or a sentence that says why it is not taken.
 */
export function readSnapshot(file: string, identity: Identity): Restored | string | undefined {
  rmSync(incomplete(file), { force: true });
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return (error as Error).message;
  }
  try {
    return read(handle, identity);
  } finally {
    closeSync(handle);
  }
}

/** Bytes of a file; fewer where it ends. */
function bytesAt(handle: number, position: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  let have = 0;
  while (have < size) {
    const got = readSync(handle, bytes, have, Math.min(size - have, PIECE), position + have);
    if (got === 0) break;
    have += got;
  }
  return bytes.subarray(0, have);
}

/** The last that a Date knows, in seconds since 1970. */
const LAST_SECOND = 8.64e12;

/** The header in a text; undefined where it is none. */
function headerIn(text: string): Header | undefined {
  try {
    const header: Header | null = JSON.parse(text);
    if (header === null || ![header.seed, header.checksum].every(Number.isInteger)) return undefined;
    return header.time >= 0 && header.time <= LAST_SECOND ? header : undefined;
  } catch {
    return undefined;
  }
}

function read(handle: number, identity: Identity): Restored | string {
  const head = bytesAt(handle, 0, PAGE);
  if (head.toString('latin1', 0, MAGIC.length) !== MAGIC)
    return 'it is no snapshot, or one of another version';
  const end = head.indexOf(10, MAGIC.length);
  const header = headerIn(head.toString('utf8', MAGIC.length, end));
  if (header === undefined) return 'its header is damaged';
  for (const [name, wanted] of Object.entries(identity)) {
    const found = header[name as keyof Identity];
    if (found !== wanted) return `it is of another store: ${name} is ${found}, not ${wanted}`;
  }
  const { listBytes, listChecksum } = header;
  const { size } = fstatSync(handle);
  if (!(Number.isInteger(listBytes) && listBytes > 0 && listBytes % 8 === 0 && listBytes <= size)) {
    return 'its header is damaged';
  }
  const list = bytesAt(handle, PAGE, listBytes);
  if (list.length !== listBytes || crc32(list) !== listChecksum) return 'its list of pages is damaged';
  const extents = new Uint32Array(listBytes / 4);
  new Uint8Array(extents.buffer).set(list);
  const data = PAGE + roundUp(listBytes);
  let pages = 0;
  for (let i = 1; i < extents.length; i += 2) pages += extents[i];
  if (pages * PAGE > size) return 'it ends too early';
  const bytes = Buffer.allocUnsafeSlow(pages * PAGE);
  let at = 0;
  for (let i = 0; i < extents.length; i += 2) {
    const part = bytesAt(handle, data + extents[i] * PAGE, extents[i + 1] * PAGE);
    if (part.length !== extents[i + 1] * PAGE) return 'it ends too early';
    bytes.set(part, at);
    at += part.length;
  }
  if (crc32(bytes) !== header.checksum) return 'its pages are damaged';
  return { image: { extents, bytes }, seed: header.seed, time: header.time };
}
