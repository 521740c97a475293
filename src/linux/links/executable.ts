import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { arch } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { BpfError, FormatError } from '../../errors.ts';

/**
 * Where a function lies in an executable or a shared library: what a uprobe is attached to is an offset into the file. Of the file only
 * headers, symbols and their names are read, and nothing that they say is believed before it is compared with the file's size.
 */

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
/** Bytes of a table that are read at most: far more than any program has. */
const MOST_BYTES = 2 ** 30;

interface Section {
  readonly type: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/**
 * The offset of a function in a file, in bytes. Symbols that are exported come first, then others.
 * @throws BpfError ENOENT where the file or the function is not there; FormatError where it is no executable of 64 bits.
 */
export function functionOffset(path: string, name: string): number {
  const file = new File(path);
  try {
    const sections = file.sections();
    for (const type of [SHT_DYNSYM, SHT_SYMTAB]) {
      for (const table of sections) {
        const offset = table.type === type ? file.find(table, sections, name) : undefined;
        if (offset !== undefined) return offset;
      }
    }
  } finally {
    file.close();
  }
  const advice = 'is it static in a stripped file, or inlined? Give its offset in the file instead';
  throw new BpfError('ENOENT', `'${path}' has no function '${name}' (${advice})`);
}

class File {
  readonly #path: string;
  readonly #fd: number;
  readonly #size: number;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw new BpfError('ENOENT', `'${path}' cannot be read: ${(cause as Error).message}`, { cause });
    }
    this.#size = fstatSync(this.#fd).size;
  }

  close(): void {
    closeSync(this.#fd);
  }

  sections(): Section[] {
    const header = this.#read(0, HEADER_BYTES);
    const isElf = header.getUint32(0) === 0x7f45_4c46 && header.getUint8(4) === 2 && header.getUint8(5) === 1;
    if (!isElf) throw new FormatError(this.#path, 0, 'no little-endian ELF file of 64 bits');
    const offset = Number(header.getBigUint64(40, true));
    const count = header.getUint16(60, true);
    if (header.getUint16(58, true) !== SECTION_BYTES || offset === 0)
      throw new FormatError(this.#path, 58, 'it has no section headers, so functions in it have no names');
    const table = this.#read(offset, count * SECTION_BYTES);
    return Array.from({ length: count }, (_, index) => {
      const at = index * SECTION_BYTES;
      return {
        type: table.getUint32(at + 4, true),
        address: Number(table.getBigUint64(at + 16, true)),
        offset: Number(table.getBigUint64(at + 24, true)),
        size: Number(table.getBigUint64(at + 32, true)),
        link: table.getUint32(at + 40, true),
      };
    });
  }

  /** @returns the offset of a function in the file; undefined where the table of symbols has none of that name. */
  find(table: Section, sections: readonly Section[], name: string): number | undefined {
    const strings = sections[table.link];
    if (strings === undefined) throw new FormatError(this.#path, table.offset, 'its symbols have no names');
    const symbols = this.#read(table.offset, table.size - (table.size % SYMBOL_BYTES));
    const names = this.#read(strings.offset, strings.size);
    const wanted = new TextEncoder().encode(`${name}\0`);
    for (let at = 0; at < symbols.byteLength; at += SYMBOL_BYTES) {
      const type = symbols.getUint8(at + 4) & 0xf;
      const section = sections[symbols.getUint16(at + 6, true)];
      if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || section === undefined || section.type === 0)
        continue;
      if (!hasText(names, symbols.getUint32(at, true), wanted)) continue;
      const offset = Number(symbols.getBigUint64(at + 8, true)) - section.address + section.offset;
      if (offset >= 0 && offset < this.#size) return offset;
      throw new FormatError(this.#path, table.offset + at, `function '${name}' lies beyond the file`);
    }
    return undefined;
  }

  #read(offset: number, size: number): DataView {
    if (offset + size > this.#size || size > MOST_BYTES)
      throw new FormatError(
        this.#path,
        offset,
        `${size} bytes end beyond the file; it is truncated or damaged`,
      );
    const bytes = new Uint8Array(size);
    const got = readSync(this.#fd, bytes, 0, size, offset);
    if (got < size) throw new FormatError(this.#path, offset + got, 'the file has become shorter');
    return new DataView(bytes.buffer);
  }
}

function hasText(names: DataView, at: number, text: Uint8Array): boolean {
  if (at + text.length > names.byteLength) return false;
  for (let i = 0; i < text.length; i++) if (names.getUint8(at + i) !== text[i]) return false;
  return true;
}

/** What Debian and others call the folders of libraries, by what Node calls processors. */
const TRIPLETS: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
  s390x: 's390x-linux-gnu',
};

/**
 * A file by its path, or by its name alone, which is looked for where the dynamic linker or a shell would (libbpf: resolve_full_path).
 * @throws BpfError ENOENT
 */
export function executablePath(name: string): string {
  if (isAbsolute(name) || name.includes('/')) return name;
  const isLibrary = /\.so(\.|$)/.test(name);
  const said = (isLibrary ? process.env.LD_LIBRARY_PATH : process.env.PATH) ?? '';
  const triplet = TRIPLETS[arch()];
  const libraries = [
    '/usr/lib64',
    '/usr/lib',
    ...(triplet ? [`/usr/lib/${triplet}`, `/lib/${triplet}`] : []),
  ];
  const folders = [...said.split(delimiter), ...(isLibrary ? libraries : ['/usr/bin', '/usr/sbin'])];
  for (const folder of folders) {
    const path = join(folder, name);
    if (folder !== '' && isThere(path, isLibrary)) return path;
  }
  throw new BpfError('ENOENT', `'${name}' is in none of the usual folders; give its whole path`);
}

function isThere(path: string, isLibrary: boolean): boolean {
  try {
    accessSync(path, isLibrary ? constants.R_OK : constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
