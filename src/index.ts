/**
 * The public API for Node: what `browser.ts` has, and objects by path. Here the embedded kernel also learns how to give
 * memory back to the operating system, and how to start threads.
 */

import { fileURLToPath } from 'node:url';
import * as browser from './browser.ts';
import { startNodeThread } from './embedded/cpus/node.ts';
import { useThreads } from './embedded/cpus/platform.ts';
import { useDiscard } from './embedded/memory-pool.ts';
import { discardPages } from './embedded/node.ts';
import type { AnyShape, ObjectShape, OpenedObject } from './opened.ts';
import { readFile } from './read-file.ts';

export * from './browser.ts';

useDiscard(discardPages);
useThreads(startNodeThread);

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
  return browser.open<Shape>(await readFile(path), { name: browser.objectName(path), ...options });
}
