/**
 * Commands for one run of kv_batch, and what shall be answered to each. Commands go straight into the port's buffer in the arena;
 * replies are rows of typed arrays, in the order of the input, some with a command and some without. Where the input stands for
 * each is noted, so that what the store did not get to can be read again.
 */
import { align8, COMMAND, COMMAND_BYTES } from './layout.ts';
import { copy } from './protocol/output.ts';

/** What is done with a reply: reply.kind. */
export const REPLY = {
  /** A line. With a command: whatever that gave. */
  LINE: 0,
  /** The hit of a key of get or gat, with the cas where `detail` is 1; nothing for a miss. */
  VALUE: 1,
  /** The line for the command's status, by the table `detail`; none when that is negative. */
  STATUS: 2,
  /** incr, decr: the number, else a line. `detail` is negative for noreply. */
  NUMBER: 3,
  META_GET: 4,
  META_SET: 5,
  META_DELETE: 6,
  META_ARITHMETIC: 7,
  META_DEBUG: 8,
} as const satisfies Record<string, number>;

/** Replies of a batch, at most. */
const REPLIES = 1024;

export class Batch {
  /** The port's buffer. */
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  /** Bytes of commands. */
  used = 0;
  /** How many replies there are. */
  count = 0;
  readonly kind = new Uint8Array(REPLIES);
  readonly detail = new Int32Array(REPLIES);
  /** The command's offset in {@link bytes}, negative for none. */
  readonly command = new Int32Array(REPLIES);
  /** Where in the input the command starts: a line, or a key of a get. */
  readonly start = new Int32Array(REPLIES);
  /** Where the line or the key ends, without the line's end. */
  readonly end = new Int32Array(REPLIES);
  /** What the line is in the middle of (Session.multi) where `start` is not a line's start. */
  readonly inside = new Int32Array(REPLIES);

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  }

  clear(): void {
    this.used = 0;
    this.count = 0;
  }

  /** Whether another command fits, with another reply or two. */
  fits(keyBytes: number, valueBytes: number): boolean {
    return (
      this.count + 2 <= REPLIES && this.used + COMMAND_BYTES + keyBytes + valueBytes + 16 <= this.bytes.length
    );
  }

  /**
   * Adds a command without a value; ask {@link fits} first.
   * @returns its offset: the caller sets further fields with {@link set}.
   */
  add(op: number, options: number, key: Uint8Array, keyStart: number, keyEnd: number): number {
    const at = this.used;
    const { bytes, words } = this;
    const keyBytes = keyEnd - keyStart;
    let word = at >> 2;
    words[word++] = op | (keyBytes << 8) | (options << 16);
    for (const last = (at + COMMAND_BYTES) >> 2; word < last; ) words[word++] = 0;
    const end = copy(key, keyStart, keyEnd, bytes, at + COMMAND_BYTES);
    this.used = align8(end);
    for (let i = end; i < this.used; i++) bytes[i] = 0;
    return at;
  }

  /** Gives the command that was added last its value. */
  value(at: number, from: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    this.words[(at + COMMAND.value_bytes) >> 2] = end - start;
    const behind = copy(from, start, end, bytes, this.used);
    this.used = align8(behind);
    for (let i = behind; i < this.used; i++) bytes[i] = 0;
  }

  /** Sets a field of 32 bits. @param field its offset, from `COMMAND`. */
  set(at: number, field: number, value: number): void {
    this.words[(at + field) >> 2] = value;
  }

  /** Sets a field of 64 bits. */
  set64(at: number, field: number, low: number, high: number): void {
    const word = (at + field) >> 2;
    this.words[word] = low;
    this.words[word + 1] = high;
  }

  /** Adds a reply. */
  reply(kind: number, detail: number, command: number, start: number, end: number, inside: number): void {
    const row = this.count++;
    this.kind[row] = kind;
    this.detail[row] = detail;
    this.command[row] = command;
    this.start[row] = start;
    this.end[row] = end;
    this.inside[row] = inside;
  }
}
