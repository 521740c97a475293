/**
 * The text commands: what a line's words mean. Each adds commands and replies to the batch, and returns the offset behind it, or a negative
 * one when it has to wait. memcached's order of checks is kept, since it decides which error a line gets that is wrong in two ways.
 */
import { REPLY } from '../batch.ts';
import { COMMAND, KEY_MAX, OP, OPTION } from '../layout.ts';
import { ANSWER, LINE, SILENT } from './lines.ts';
import { metaCommand } from './meta.ts';
import { read, readI64, readU64 } from './numbers.ts';
import type { Session } from './session.ts';
import { expiresAt } from './times.ts';
import { isWord, WORD } from './words.ts';

/** Which get a line is, while it is in the middle of one. */
export const MULTI = { GET: 1, CAS: 2, TOUCH: 4, FAILED: 8, CUT: 16 } as const satisfies Record<
  string,
  number
>;

/** The command whose tokens were read. @returns the offset behind it, negative when it has to wait. */
export function textCommand(session: Session, input: Uint8Array, at: number, end: number): number {
  const { tokens } = session.engine;
  const words = tokens.count;
  if (words < 1 || tokens.end[0] - tokens.start[0] < 2) return session.say(LINE.ERROR, at);
  const first = input[tokens.start[0]];
  if (first === 109 && tokens.end[0] - tokens.start[0] === 2) return metaCommand(session, input, at, end);
  const start = tokens.start[0];
  const stop = tokens.end[0];
  switch (first) {
    case 103: // g
      return retrieve(session, input, at, end);
    case 115: // s
      if (isWord(input, start, stop, WORD.set)) return update(session, OP.SET, input, at, end);
      if (isWord(input, start, stop, WORD.stats)) return stats(session, input, at);
      if (isWord(input, start, stop, WORD.shutdown)) return session.say(LINE.NO_SHUTDOWN, at);
      if (isWord(input, start, stop, WORD.slabs)) {
        const reassign = words === 4 && tokens.is(input, 1, WORD.reassign);
        return session.say(reassign ? LINE.NO_REASSIGN : LINE.ERROR, at);
      }
      break;
    case 97: // a
      if (isWord(input, start, stop, WORD.add)) return update(session, OP.ADD, input, at, end);
      if (isWord(input, start, stop, WORD.append)) return update(session, OP.APPEND, input, at, end);
      break;
    case 99: // c
      if (isWord(input, start, stop, WORD.cas)) return update(session, 0, input, at, end);
      if (isWord(input, start, stop, WORD.cache_memlimit)) return limit(session, input, at);
      break;
    case 105: // i
      if (isWord(input, start, stop, WORD.incr)) return arithmetic(session, OP.INCR, input, at);
      break;
    case 100: // d
      if (isWord(input, start, stop, WORD.delete)) return remove(session, input, at);
      if (isWord(input, start, stop, WORD.decr)) return arithmetic(session, OP.DECR, input, at);
      break;
    case 116: // t
      if (isWord(input, start, stop, WORD.touch)) return touch(session, input, at);
      break;
    default:
      return other(session, input, at, end);
  }
  return session.say(LINE.ERROR, at);
}

/** The words whose first letter says nothing. */
function other(session: Session, input: Uint8Array, at: number, end: number): number {
  const { engine } = session;
  const { tokens } = engine;
  const words = tokens.count;
  if (tokens.is(input, 0, WORD.replace)) return update(session, OP.REPLACE, input, at, end);
  if (tokens.is(input, 0, WORD.prepend)) return update(session, OP.PREPEND, input, at, end);
  if (tokens.is(input, 0, WORD.bget)) return retrieve(session, input, at, end);
  if (tokens.is(input, 0, WORD.flush_all)) return flush(session, input, at);
  if (tokens.is(input, 0, WORD.version)) return session.say(LINE.VERSION, at);
  if (tokens.is(input, 0, WORD.quit)) {
    session.act({ kind: 'quit' });
    return tokens.next;
  }
  if (tokens.is(input, 0, WORD.verbosity)) {
    if (words !== 2 && words !== 3) return session.say(LINE.ERROR, at);
    if (!readU64(input, tokens.start[1], tokens.end[1]))
      return session.say(LINE.BAD_FORMAT, at, noreply(session, input));
    engine.verbosity = Math.min(read.low, 2);
    return session.say(LINE.OK, at, noreply(session, input));
  }
  if (tokens.is(input, 0, WORD.watch)) return session.say(LINE.NO_WATCH, at, noreply(session, input));
  if (tokens.is(input, 0, WORD.lru_crawler)) {
    const crawls = words === 3 && (tokens.is(input, 1, WORD.crawl) || tokens.is(input, 1, WORD.metadump));
    return session.say(crawls ? LINE.NO_CRAWLER : LINE.ERROR, at);
  }
  // Somebody speaks HTTP: there is nothing to say to that.
  const last = tokens.start[words - 1];
  if (isWord(input, last, Math.min(tokens.end[words - 1], last + 5), WORD['HTTP/'])) {
    session.act({ kind: 'quit' });
    return tokens.next;
  }
  return session.say(LINE.ERROR, at);
}

/** Whether the line's last word is noreply. */
function noreply(session: Session, input: Uint8Array): boolean {
  const { tokens } = session.engine;
  return tokens.is(input, tokens.count - 1, WORD.noreply);
}

/** Whether the key, the second token, is too long. */
function longKey(session: Session): boolean {
  const { tokens } = session.engine;
  return tokens.end[1] - tokens.start[1] > KEY_MAX;
}

function retrieve(session: Session, input: Uint8Array, at: number, end: number): number {
  const { engine } = session;
  const { tokens } = engine;
  if (tokens.count < 2) return session.say(LINE.ERROR, at);
  let bits: number = MULTI.GET;
  let expires = 0;
  let from = tokens.end[0];
  if (tokens.is(input, 0, WORD.gets)) bits |= MULTI.CAS;
  else if (tokens.is(input, 0, WORD.gat)) bits |= MULTI.TOUCH;
  else if (tokens.is(input, 0, WORD.gats)) bits |= MULTI.TOUCH | MULTI.CAS;
  else if (!tokens.is(input, 0, WORD.get) && !tokens.is(input, 0, WORD.bget))
    return session.say(LINE.ERROR, at);
  if (bits & MULTI.TOUCH) {
    if (!readI64(input, tokens.start[1], tokens.end[1])) return session.say(LINE.BAD_EXPTIME, at);
    expires = expiresAt(read.low | 0, engine.now);
    from = tokens.end[1];
  }
  return session.get(bits, expires, input, from, end, at);
}

/** set and its like. @param op 0: cas. */
function update(session: Session, op: number, input: Uint8Array, at: number, end: number): number {
  const { engine } = session;
  const { tokens } = engine;
  const fixed = op === 0 ? 6 : 5;
  if (tokens.count !== fixed && tokens.count !== fixed + 1) return session.say(LINE.ERROR, at);
  const silent = noreply(session, input);
  if (longKey(session) || !readU64(input, tokens.start[2], tokens.end[2])) {
    return session.say(LINE.BAD_FORMAT, at, silent);
  }
  const flags = read.low;
  if (!readI64(input, tokens.start[3], tokens.end[3])) return session.say(LINE.BAD_FORMAT, at, silent);
  const expires = expiresAt(read.low | 0, engine.now);
  if (!readI64(input, tokens.start[4], tokens.end[4])) return session.say(LINE.BAD_FORMAT, at, silent);
  const bytes = read.low | 0;
  if (op === 0 && !readU64(input, tokens.start[5], tokens.end[5])) {
    return session.say(LINE.BAD_FORMAT, at, silent);
  }
  const low = read.low;
  const high = read.high;
  if (bytes < 0 || bytes > 0x7fff_fffd) return session.say(LINE.BAD_FORMAT, at, silent);
  const store = op === 0 ? OP.SET : op;
  const answer = silent ? SILENT : op === OP.APPEND || op === OP.PREPEND ? ANSWER.extend : ANSWER.store;
  const command = session.storing(
    store,
    REPLY.STATUS,
    answer,
    silent,
    op === OP.SET,
    input,
    at,
    end,
    tokens.start[1],
    tokens.end[1],
    input,
    flags,
    bytes,
  );
  if (command >= 0) {
    const { batch } = engine;
    batch.set(command, COMMAND.expires, expires);
    if (op === 0) {
      batch.words[command >> 2] |= OPTION.IF_CAS << 16;
      batch.set64(command, COMMAND.cas, low, high);
    }
  }
  return session.after;
}

function touch(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count !== 3 && tokens.count !== 4) return session.say(LINE.ERROR, at);
  const silent = noreply(session, input);
  if (longKey(session)) return session.say(LINE.BAD_FORMAT, at, silent);
  if (!readI64(input, tokens.start[2], tokens.end[2])) return session.say(LINE.BAD_EXPTIME, at, silent);
  const expires = expiresAt(read.low | 0, engine.now);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const command = batch.add(OP.TOUCH_ONLY, 0, input, tokens.start[1], tokens.end[1]);
  batch.set(command, COMMAND.expires, expires);
  batch.reply(REPLY.STATUS, silent ? SILENT : ANSWER.touch, command, at, at, 0);
  return tokens.next;
}

function arithmetic(session: Session, op: number, input: Uint8Array, at: number): number {
  const { batch, tokens } = session.engine;
  if (tokens.count !== 3 && tokens.count !== 4) return session.say(LINE.ERROR, at);
  const silent = noreply(session, input);
  if (longKey(session)) return session.say(LINE.BAD_FORMAT, at, silent);
  if (!readU64(input, tokens.start[2], tokens.end[2])) return session.say(LINE.BAD_DELTA, at, silent);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const command = batch.add(op, 0, input, tokens.start[1], tokens.end[1]);
  batch.set64(command, COMMAND.number, read.low, read.high);
  batch.reply(REPLY.NUMBER, silent ? SILENT : 0, command, at, at, 0);
  return tokens.next;
}

function remove(session: Session, input: Uint8Array, at: number): number {
  const { batch, tokens } = session.engine;
  const words = tokens.count;
  if (words < 2 || words > 4) return session.say(LINE.ERROR, at);
  const silent = words > 2 && noreply(session, input);
  if (words > 2) {
    const zero = tokens.is(input, 2, WORD['0']);
    const valid = words === 3 ? zero || silent : zero && silent;
    if (!valid) return session.say(LINE.BAD_DELETE, at, silent);
  }
  if (longKey(session)) return session.say(LINE.BAD_FORMAT, at, silent);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const command = batch.add(OP.DELETE, 0, input, tokens.start[1], tokens.end[1]);
  batch.reply(REPLY.STATUS, silent ? SILENT : ANSWER.delete, command, at, at, 0);
  return tokens.next;
}

function flush(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count > 3) return session.say(LINE.ERROR, at);
  const silent = noreply(session, input);
  let delay = 0;
  if (tokens.count !== (silent ? 2 : 1)) {
    if (!readI64(input, tokens.start[1], tokens.end[1])) return session.say(LINE.BAD_EXPTIME, at, silent);
    delay = read.low | 0;
  }
  if (!batch.fits(0, 0)) return session.wait();
  engine.counters.flushCommands++;
  const command = batch.add(OP.FLUSH, 0, input, 0, 0);
  batch.set(command, COMMAND.expires, delay > 0 ? expiresAt(delay, engine.now) : 0);
  batch.reply(REPLY.STATUS, silent ? SILENT : ANSWER.flush, command, at, at, 0);
  return tokens.next;
}

/** cache_memlimit: the memory was chosen when the store was made. */
function limit(session: Session, input: Uint8Array, at: number): number {
  const { tokens } = session.engine;
  if (tokens.count !== 2 && tokens.count !== 3) return session.say(LINE.ERROR, at);
  const silent = noreply(session, input);
  if (!readU64(input, tokens.start[1], tokens.end[1])) return session.say(LINE.ERROR, at, silent);
  return session.say(read.low < 8 ? LINE.SMALL_LIMIT : LINE.NO_LIMIT, at, silent);
}

function stats(session: Session, input: Uint8Array, at: number): number {
  const { tokens } = session.engine;
  if (tokens.count > 1 && tokens.is(input, 1, WORD.detail)) return session.say(LINE.BAD_DETAIL, at);
  if (tokens.count > 1 && tokens.is(input, 1, WORD.cachedump)) return session.say(LINE.NO_DUMP, at);
  const what =
    tokens.count === 1 ? '' : Buffer.from(input.subarray(tokens.start[1], tokens.end[1])).toString('latin1');
  session.act({ kind: 'stats', what });
  return tokens.next;
}
