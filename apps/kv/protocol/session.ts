/**
 * What one client says, in whatever pieces it comes: the state between them. All complete commands of a piece
 * become one batch, unless its answers grow too large first; then the rest is read again when they have been sent. A value that is
 * too long to wait for goes into memory of the store as it comes.
 */
import { REPLY } from '../batch.ts';
import { COMMAND, KEY_MAX, OP, OPTION, STATUS } from '../layout.ts';
import { renderReplies } from './answers.ts';
import type { Engine } from './engine.ts';
import { LINE, SILENT } from './lines.ts';
import { copy } from './output.ts';
import { MULTI, textCommand } from './text.ts';

/** A line without an end that is longer is no line, unless it is a get with many keys. */
const LINE_MAX = 2048;
/** A value that has not come whole and is longer goes to the store as it comes. */
const INLINE_MAX = 8192;
/** Bytes of answers after which they are sent before more is done. */
const ANSWERS_HIGH = 256 << 10;
/** memcached's own: what an item needs besides key and value, and what it may have. */
const ITEM_BYTES = 59;
const ITEM_MAX = 1 << 20;

/** Why parsing stopped. */
const STOP = { EXHAUSTED: 0, FULL: 1 } as const satisfies Record<string, number>;

/** What is done after the commands before it. */
export type Action = { readonly kind: 'quit' } | { readonly kind: 'stats'; readonly what: string };

/** A value that is on its way into reserved memory. */
interface Coming {
  /** The command's line, with its newline. */
  readonly text: Uint8Array;
  readonly key: Uint8Array;
  /** The memory's user address, in halves, and its offset in the arena. */
  readonly low: number;
  readonly high: number;
  readonly offset: number;
  /** Bytes of the value. */
  readonly bytes: number;
  /** Bytes that came, the two of the line's end among them. */
  come: number;
  /** Whether those two are what they should be. */
  ended: boolean;
}

const CR = 13;
const LF = 10;

export class Session {
  readonly engine: Engine;
  /** The client is to be disconnected when what was answered is sent. */
  closing = false;
  /** There is more to do in the input that was given: answers have to be sent first. */
  more = false;
  /** MULTI of the get that the input is in the middle of, and when what it touches expires. */
  private multi = 0;
  private multiExpires = 0;
  /** Bytes of a value that nobody wants. */
  private swallow = 0;
  private coming: Coming | undefined;
  private stop: number = STOP.EXHAUSTED;
  private action: Action | undefined;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /**
   * Does what is in the input from `at` on, and puts the answers into the engine's output.
   * @returns where it stopped: what is left is to be given again, with what comes next, or, where {@link more} is set, as it is.
   */
  take(input: Uint8Array, at: number, end: number): number {
    const { batch, output } = this.engine;
    this.more = false;
    for (;;) {
      this.stop = STOP.EXHAUSTED;
      at = this.parse(input, at, end);
      if (batch.count > 0) at = this.answer(input, at);
      const { action } = this;
      if (action !== undefined) this.perform(action);
      if (this.closing || (this.stop === STOP.EXHAUSTED && action === undefined)) return at;
      if (output.used >= ANSWERS_HIGH) {
        this.more = true;
        return at;
      }
    }
  }

  /** Whether memory of the store is taken for a value that has not come whole. */
  get isReceiving(): boolean {
    return this.coming !== undefined;
  }

  /** The client is gone. */
  close(): void {
    this.closing = true;
    this.forget();
  }

  /** Gives memory back that a value was coming into. */
  private forget(): void {
    const { coming, engine } = this;
    if (coming === undefined) return;
    this.coming = undefined;
    engine.reservable += coming.bytes;
    const { key } = coming;
    engine.store.release(key, 0, key.length, coming.bytes, coming.low, coming.high);
  }

  /** Runs the batch and says what came of it. @returns where in the input to go on. */
  private answer(input: Uint8Array, at: number): number {
    const { batch, store } = this.engine;
    const done = batch.used > 0 ? store.run(batch) : 0;
    const row = renderReplies(this.engine, input, done);
    const { count } = batch;
    batch.clear();
    if (row === count) return at;
    // The rest is read again: nothing of it has happened.
    this.action = undefined;
    this.swallow = 0;
    this.stop = STOP.FULL;
    this.multi = batch.inside[row];
    if (this.multi !== 0 && batch.command[row] >= 0) {
      this.multiExpires = batch.words[(batch.command[row] + COMMAND.expires) >> 2];
    }
    return batch.start[row];
  }

  private perform(action: Action): void {
    this.action = undefined;
    if (action.kind === 'quit') {
      this.closing = true;
      return;
    }
    const { engine } = this;
    if (action.what === 'reset') {
      engine.resetStatistics();
      engine.output.line(LINE.RESET);
      return;
    }
    const text = engine.statistics(action.what);
    if (text === undefined) engine.output.line(LINE.ERROR);
    else engine.output.text(text);
  }

  private parse(input: Uint8Array, at: number, end: number): number {
    const { batch, tokens } = this.engine;
    for (;;) {
      if (this.swallow > 0) {
        const bytes = Math.min(this.swallow, end - at);
        this.swallow -= bytes;
        at += bytes;
        if (this.swallow > 0) return at;
      }
      if (this.coming !== undefined) {
        at = this.takeValue(this.coming, input, at, end);
        if (this.coming !== undefined) return at;
      }
      if (this.multi !== 0) {
        at = this.keys(input, at, end, -1);
        if (this.multi !== 0 || this.stop !== STOP.EXHAUSTED) return at;
      }
      if (at >= end) return at;
      if (!batch.fits(0, 0)) {
        this.stop = STOP.FULL;
        return at;
      }
      let next: number;
      const bits = getBits(input, at, end);
      if (bits !== 0) {
        this.multi = bits;
        next = this.keys(input, at + (bits & MULTI.CAS ? 5 : 4), end, at);
        if (next < 0) {
          this.multi = 0;
          if (this.stop !== STOP.EXHAUSTED || end - at <= LINE_MAX) return at;
          this.multi = bits;
          at += bits & MULTI.CAS ? 5 : 4;
          continue;
        }
      } else if (tokens.read(input, at, end)) {
        next = textCommand(this, input, at, end);
        if (next < 0) return at;
      } else {
        if (end - at > LINE_MAX) this.action = { kind: 'quit' };
        return at;
      }
      at = next;
      if (this.stop !== STOP.EXHAUSTED || this.action !== undefined) return at;
    }
  }

  /**
   * The keys of a get, up to the line's end.
   * @param line where the line starts: then it is done whole, or undone; negative when it was begun before.
   * @returns the offset behind what is done, negative when the line is undone.
   */
  private keys(input: Uint8Array, at: number, end: number, line: number): number {
    const { batch } = this.engine;
    const { used, count } = batch;
    const options = OPTION.VALUE | (this.multi & MULTI.TOUCH ? OPTION.TOUCH : 0);
    const cas = this.multi & MULTI.CAS ? 1 : 0;
    let first = at;
    let i = at;
    for (; i < end; i++) {
      const byte = input[i];
      if (byte > 32 || (byte !== 32 && byte !== LF && byte !== 0)) continue;
      if (this.multi & (MULTI.CUT | MULTI.FAILED)) {
        if (byte === LF) break;
        continue;
      }
      const last = byte === LF && i > first && input[i - 1] === CR ? i - 1 : i;
      if (last > first) {
        if (last - first > KEY_MAX) {
          if (line >= 0) {
            batch.used = used;
            batch.count = count;
          }
          this.multi |= MULTI.FAILED;
          if (byte === LF) break;
          continue;
        }
        if (!batch.fits(last - first, 0)) {
          this.stop = STOP.FULL;
          if (line < 0 || count === 0) return first;
          batch.used = used;
          batch.count = count;
          return -1;
        }
        const command = batch.add(OP.GET, options, input, first, last);
        if (options & OPTION.TOUCH) batch.set(command, COMMAND.expires, this.multiExpires);
        batch.reply(REPLY.VALUE, cas, command, first, last, this.multi);
      }
      if (byte === LF) break;
      if (byte === 0) this.multi |= MULTI.CUT;
      first = i + 1;
    }
    if (i >= end) {
      if (line >= 0) {
        batch.used = used;
        batch.count = count;
        return -1;
      }
      if (this.multi & (MULTI.CUT | MULTI.FAILED)) return end;
      if (end - first <= KEY_MAX + 1) return first;
      this.multi |= MULTI.FAILED;
      return end;
    }
    const failed = (this.multi & MULTI.FAILED) !== 0;
    const none = line >= 0 && batch.count === count && !failed && !(this.multi & MULTI.TOUCH);
    const text = failed ? LINE.BAD_FORMAT : none ? LINE.ERROR : LINE.END;
    batch.reply(
      REPLY.LINE,
      text,
      -1,
      line < 0 ? i : none || failed ? line : i,
      i,
      none || (failed && line >= 0) ? 0 : this.multi,
    );
    this.multi = 0;
    return i + 1;
  }

  /** A get whose keys begin at `from`, of the line at `at`. @param bits MULTI. @param expires for those that touch. */
  get(bits: number, expires: number, input: Uint8Array, from: number, end: number, at: number): number {
    this.multi = bits;
    if (bits & MULTI.TOUCH) this.multiExpires = expires;
    const next = this.keys(input, from, end, at);
    if (next < 0) this.multi = 0;
    return next;
  }

  /** What is to be done after the commands before it. */
  act(action: Action): void {
    this.action = action;
  }

  /** Answers with a line. */
  say(line: number, at: number, silent = false): number {
    const { batch, tokens } = this.engine;
    if (!silent) batch.reply(REPLY.LINE, line, -1, at, at, 0);
    return tokens.next;
  }

  /** Answers with what is wrong with a line whose value is still to come, and passes over that. */
  passOver(line: number, at: number, bytes: number): number {
    this.swallow = bytes + 2;
    return this.say(line, at);
  }

  /** The batch has to be done before this line. */
  wait(): number {
    this.stop = STOP.FULL;
    return -1;
  }

  /** Where to go on after {@link storing}; negative when it has to wait. */
  after = 0;

  /**
   * The part that all storing commands share: the value, wherever it is. Adds command and reply, or says why not.
   * @param removes whether what is there goes when this cannot be stored. @param key the bytes that the key is in.
   * @returns the command's offset, negative for none.
   */
  storing(
    op: number,
    kind: number,
    detail: number,
    silent: boolean,
    removes: boolean,
    input: Uint8Array,
    at: number,
    end: number,
    keyStart: number,
    keyEnd: number,
    key: Uint8Array,
    flags: number,
    bytes: number,
  ): number {
    const { engine } = this;
    const { batch, tokens } = engine;
    const value = tokens.next;
    const { coming } = this;
    if (coming !== undefined) {
      // The line is read again, when its value has come.
      this.after = value;
      if (!coming.ended) {
        this.forget();
        this.say(LINE.BAD_CHUNK, at, silent);
        return -1;
      }
      engine.reservable += coming.bytes;
      this.coming = undefined;
      const command = batch.add(op, OPTION.RESERVED, key, keyStart, keyEnd);
      batch.set(command, COMMAND.value_bytes, bytes);
      batch.set(command, COMMAND.flags, flags);
      batch.set64(command, COMMAND.number, coming.low, coming.high);
      batch.reply(kind, detail, command, at, tokens.lineEnd, 0);
      return command;
    }
    if (ITEM_BYTES + keyEnd - keyStart + (flags === 0 ? 0 : 4) + bytes > ITEM_MAX) {
      engine.counters.tooLarge++;
      return this.refuse(LINE.TOO_LARGE, silent, removes, key, keyStart, keyEnd, at, bytes);
    }
    if (value + bytes + 2 <= end) {
      if (!batch.fits(keyEnd - keyStart, bytes)) {
        this.after = this.wait();
        return -1;
      }
      this.after = value + bytes + 2;
      if (input[value + bytes] !== CR || input[value + bytes + 1] !== LF) {
        if (!silent) batch.reply(REPLY.LINE, LINE.BAD_CHUNK, -1, at, at, 0);
        return -1;
      }
      const command = batch.add(op, 0, key, keyStart, keyEnd);
      batch.set(command, COMMAND.flags, flags);
      batch.value(command, input, value, value + bytes);
      batch.reply(kind, detail, command, at, tokens.lineEnd, 0);
      return command;
    }
    this.after = -1;
    if (bytes <= INLINE_MAX) return -1;
    if (batch.count > 0) {
      this.stop = STOP.FULL;
      return -1;
    }
    const { store } = engine;
    const status =
      bytes > engine.reservable ? STATUS.NO_MEMORY : store.reserve(key, keyStart, keyEnd, bytes, flags);
    if (status !== STATUS.OK) {
      const line = status === STATUS.TOO_LARGE ? LINE.TOO_LARGE : LINE.NO_MEMORY;
      return this.refuse(line, silent, removes, key, keyStart, keyEnd, at, bytes);
    }
    engine.reservable -= bytes;
    this.coming = {
      text: input.slice(at, value),
      key: key.slice(keyStart, keyEnd),
      low: store.reserved.low,
      high: store.reserved.high,
      offset: store.reserved.offset,
      bytes,
      come: 0,
      ended: true,
    };
    this.after = value;
    return -1;
  }

  /** Says that a value cannot be stored, and passes over it. */
  private refuse(
    line: number,
    silent: boolean,
    removes: boolean,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    at: number,
    bytes: number,
  ): number {
    const { batch, tokens } = this.engine;
    if (!batch.fits(keyEnd - keyStart, 0)) {
      this.after = this.wait();
      return -1;
    }
    // What was there is older than what the client wanted to be there.
    const command = removes ? batch.add(OP.DELETE, 0, key, keyStart, keyEnd) : -1;
    if (removes || !silent) batch.reply(REPLY.LINE, silent ? SILENT : line, command, at, at, 0);
    this.swallow = bytes + 2;
    this.after = tokens.next;
    return -1;
  }

  /** More of a value. */
  private takeValue(coming: Coming, input: Uint8Array, at: number, end: number): number {
    const { engine } = this;
    const bytes = Math.min(coming.bytes - coming.come, end - at);
    if (bytes > 0) {
      copy(input, at, at + bytes, engine.store.memory, coming.offset + coming.come);
      coming.come += bytes;
      at += bytes;
    }
    for (; at < end && coming.come >= coming.bytes && coming.come < coming.bytes + 2; at++) {
      if (input[at] !== (coming.come === coming.bytes ? CR : LF)) coming.ended = false;
      coming.come++;
    }
    if (coming.come < coming.bytes + 2) return at;
    const { text } = coming;
    engine.tokens.read(text, 0, text.length);
    textCommand(this, text, 0, text.length);
    if (engine.batch.count > 0) this.answer(text, 0);
    return at;
  }
}

/** Which get a line starts with, as MULTI; 0 when with none that is to be read key by key. */
function getBits(input: Uint8Array, at: number, end: number): number {
  if (end - at < 5 || input[at] !== 103 || input[at + 1] !== 101 || input[at + 2] !== 116) return 0;
  if (input[at + 3] === 32) return MULTI.GET;
  return input[at + 3] === 115 && input[at + 4] === 32 ? MULTI.GET | MULTI.CAS : 0;
}
