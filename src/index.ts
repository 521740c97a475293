/**
 * The public API for Node: what `browser.ts` has, and objects by path. Here the embedded kernel also learns how to give
 * memory back to the operating system.
 */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as browser from './browser.ts';
import { useDiscard } from './embedded/memory-pool.ts';
import { discardPages } from './embedded/node.ts';
import { BpfError, ERRNO, type ErrnoName } from './errors.ts';
import type { AnyShape, ObjectShape, OpenedObject } from './opened.ts';

export * from './browser.ts';

useDiscard(discardPages);

/**
 * Opens an object: parses it, loads nothing.
 *
 * @param source a path, a `file:` or other URL, or the bytes of a relocatable BPF ELF file.
 * @throws FormatError for bytes that are no BPF object, naming section and offset; BpfError for what libbpf refuses, and
 * with the file system's errno for a file that cannot be read.
 */
export async function open<Shape extends ObjectShape = AnyShape>(
  source: string | URL | Uint8Array | ArrayBuffer,
  options: browser.OpenOptions = {},
): Promise<OpenedObject<Shape>> {
  const isFile = typeof source === 'string' || (source instanceof URL && source.protocol === 'file:');
  if (!isFile) return browser.open<Shape>(source, options);
  const path = typeof source === 'string' ? source : fileURLToPath(source);
  return browser.open<Shape>(await read(path), { name: browser.objectName(path), ...options });
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const name = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    const code: ErrnoName = name in ERRNO ? (name as ErrnoName) : 'EIO';
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : name;
    throw new BpfError(code, `cannot read '${path}': ${reason}`, { cause });
  }
}
