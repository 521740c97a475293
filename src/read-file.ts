import { type FileHandle, open } from 'node:fs/promises';
import { BpfError, ERRNO, type ErrnoName } from './errors.ts';

/**
 * Reads whole files for `open` and the command line. What is no regular file (a pipe, a device) may never end, so it is
 * read up to a bound; errors say why in words.
 */

/** Bytes that are taken from what is no regular file: more than any object has, less than hurts. */
const MAX_STREAM = 2 ** 28;
const CHUNK = 2 ** 16;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EFBIG: `it goes on after ${MAX_STREAM / 2 ** 20} MiB`,
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such file',
  ERR_FS_FILE_TOO_LARGE: 'it is too large',
};

/** The bytes of a file, a pipe or a device. Throws BpfError with the file system's errno; EFBIG when it does not end. */
export async function readFile(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const bytes = (await file.stat()).isFile() ? await file.readFile() : await readStream(file);
    // A plain array, not a Buffer, whose methods share memory where an array's copy.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (cause) {
    const name = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    const code: ErrnoName = name in ERRNO ? (name as ErrnoName) : 'EIO';
    throw new BpfError(code, `cannot read '${path}': ${REASONS[name] ?? name}`, { cause });
  }
}

async function readStream(file: FileHandle): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= MAX_STREAM; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, null);
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  throw new BpfError('EFBIG', 'no end');
}
