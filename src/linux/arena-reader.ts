import { BpfError } from '../errors.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import type { RemoteBytes } from '../view/memory.ts';
import { bpf } from './bpf.ts';
import { type Closable, Fd, linuxError, Mapping } from './fd.ts';
import { loadSnippet, runSnippet } from './snippet.ts';

/**
 * Looks into an arena by a program, without mapping it: wherever its owner mapped it, whatever else lies at those addresses
 * here, and without faulting anything in: a page that is not present reads zero and stays absent.
 */

const BPF_F_MMAPABLE = 1 << 10;
/** Bytes that one run copies out. */
const CHUNK = 4096;
const WORD = 8;

/** Copies r8 words from arena address r7 into a map's value. */
function copyProgram(arena: number, buffer: number): string {
  return `
    r7 = *(u32 *)(r1 + 0)
    r8 = *(u32 *)(r1 + 4)
    ld_pseudo r1, 1, ${arena}
    ld_pseudo r9, 2, ${buffer}
    r7 = addr_space_cast(r7, 0, 1)
    r2 = 0
next:
    if r2 >= r8 goto done
    if r2 >= ${CHUNK / WORD} goto done
    r3 = *(u64 *)(r7 + 0)
    r4 = r2
    r4 <<= 3
    r5 = r9
    r5 += r4
    *(u64 *)(r5 + 0) = r3
    r7 += ${WORD}
    r2 += 1
    goto next
done:
    r0 = 0
    exit`;
}

export class ArenaReader implements RemoteBytes, Closable {
  readonly #what: string;
  readonly #low: number;
  readonly #buffer: Fd;
  readonly #mapping: Mapping;
  readonly #program: Fd;
  readonly #ctx = new Uint32Array(2);

  /** @param userVmStart where its owner mapped it. Throws what the kernel answers. */
  constructor(arena: number, name: string, userVmStart: bigint) {
    this.#what = `reading arena '${name}'`;
    this.#low = Number(userVmStart & 0xffffffffn);
    const { result } = bpf('map_create', {
      map_type: MAP_TYPES.array,
      key_size: 4,
      value_size: CHUNK,
      max_entries: 1,
      map_flags: BPF_F_MMAPABLE,
    });
    if (result < 0) throw linuxError(result, this.#what);
    this.#buffer = new Fd(result, 'buffer');
    const mapping = Mapping.map(result, { length: CHUNK });
    const { fd, log } = loadSnippet(copyProgram(arena, result));
    if (typeof mapping === 'number' || fd === undefined) {
      this.#buffer.close();
      if (typeof mapping === 'number') fd?.close();
      else mapping.close();
      throw new BpfError('EOPNOTSUPP', `${this.#what}: ${log.trim() || 'its buffer cannot be mapped'}`);
    }
    this.#mapping = mapping;
    this.#program = fd;
  }

  read(offset: number, into: Uint8Array): void {
    const bytes = new Uint8Array(this.#mapping.buffer);
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const skipped = at % WORD;
      const count = Math.min(into.length - done, CHUNK - skipped);
      this.#ctx[0] = this.#low + at - skipped;
      this.#ctx[1] = Math.ceil((skipped + count) / WORD);
      runSnippet(this.#program.number, this.#ctx, this.#what);
      into.set(bytes.subarray(skipped, skipped + count), done);
      done += count;
    }
  }

  write(): void {
    throw new BpfError('EPERM', `${this.#what}: it was opened read-only`);
  }

  close(): void {
    this.#program.close();
    this.#mapping.close();
    this.#buffer.close();
  }
}
