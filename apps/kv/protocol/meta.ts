/**
 * The meta commands: mg, ms, md, ma, mn, me. Flags are read into one record first, as memcached does, so a line is refused before
 * anything happens. What is answered depends on the order of the flags, so the answer reads the line once more (meta-answers.ts).
 * Beyond memcached 1.6.18 there are the flag E (a cas of the client's own), md's x (keeps an empty item), and N for ms that appends.
 */
import { REPLY } from '../batch.ts';
import { COMMAND, KEY_MAX, OP, OPTION } from '../layout.ts';
import { decode } from './base64.ts';
import { LINE } from './lines.ts';
import { read, readI64, readU64 } from './numbers.ts';
import type { Session } from './session.ts';
import { expiresAt } from './times.ts';
import type { Tokens } from './tokens.ts';

/** Tokens of a line, at most, with the end that memcached counts as one. */
const MOST_TOKENS = 20;
const LONGEST_OPAQUE = 32;

const code = (letter: string): number => letter.charCodeAt(0);

/** The flags of the line that is read, and its key. */
const flags = {
  seen: new Uint8Array(127),
  key: new Uint8Array(0) as Uint8Array,
  keyStart: 0,
  keyEnd: 0,
  quiet: false,
  value: false,
  touch: false,
  expires: 0,
  vivify: false,
  vivifyExpires: 0,
  recache: false,
  /** T stands before R. */
  touchFirst: false,
  recacheBefore: 0,
  noUse: false,
  stale: false,
  drop: false,
  clientFlags: 0,
  mode: 0,
  ifCas: false,
  casLow: 0,
  casHigh: 0,
  newCas: false,
  newCasLow: 0,
  newCasHigh: 0,
  deltaLow: 1,
  deltaHigh: 0,
  initialLow: 0,
  initialHigh: 0,
};

const decoded = new Uint8Array(KEY_MAX);

/** Reads flags from token `first` on. @returns 0, else the line that says what is wrong with them. */
function readFlags(input: Uint8Array, tokens: Tokens, first: number, now: number): number {
  flags.seen.fill(0);
  flags.key = input;
  flags.keyStart = tokens.start[1];
  flags.keyEnd = tokens.end[1];
  flags.quiet = flags.value = flags.touch = flags.vivify = flags.recache = flags.touchFirst = false;
  flags.noUse = flags.stale = flags.drop = flags.ifCas = flags.newCas = false;
  flags.expires = flags.vivifyExpires = flags.recacheBefore = flags.clientFlags = flags.mode = 0;
  flags.casLow = flags.casHigh = flags.deltaHigh = flags.initialLow = flags.initialHigh = 0;
  flags.deltaLow = 1;
  let wrong = 0;
  let failed = false;
  for (let i = first; i < tokens.count; i++) {
    const start = tokens.start[i];
    const end = tokens.end[i];
    const letter = input[start];
    if (letter >= 127 || flags.seen[letter] !== 0) return LINE.DUPLICATE_FLAG;
    flags.seen[letter] = 1;
    switch (letter) {
      case code('b'): {
        const bytes = decode(input, flags.keyStart, flags.keyEnd, decoded);
        if (bytes === 0) wrong = LINE.BAD_KEY;
        flags.key = decoded;
        flags.keyStart = 0;
        flags.keyEnd = bytes;
        break;
      }
      case code('N'):
        flags.vivify = true;
        if (readI64(input, start + 1, end)) flags.vivifyExpires = expiresAt(read.low | 0, now);
        else wrong = LINE.BAD_TOKEN;
        break;
      case code('T'):
        flags.touch = true;
        if (readI64(input, start + 1, end)) flags.expires = expiresAt(read.low | 0, now);
        else wrong = LINE.BAD_TOKEN;
        // What is made and touched at once has the time that is said last.
        if (flags.vivify) flags.vivifyExpires = flags.expires;
        break;
      case code('R'):
        flags.recache = true;
        flags.touchFirst = flags.touch;
        if (readI64(input, start + 1, end)) flags.recacheBefore = expiresAt(read.low | 0, now);
        else wrong = LINE.BAD_TOKEN;
        break;
      case code('F'):
        if (readU64(input, start + 1, end)) flags.clientFlags = read.low;
        else failed = true;
        break;
      case code('C'):
        flags.ifCas = true;
        if (readU64(input, start + 1, end)) {
          flags.casLow = read.low;
          flags.casHigh = read.high;
        } else wrong = LINE.BAD_TOKEN;
        break;
      case code('E'):
        flags.newCas = true;
        if (readU64(input, start + 1, end)) {
          flags.newCasLow = read.low;
          flags.newCasHigh = read.high;
        } else wrong = LINE.BAD_TOKEN;
        break;
      case code('M'):
        if (end - start === 2) flags.mode = input[start + 1];
        else wrong = LINE.MODE_LENGTH;
        break;
      case code('J'):
        if (readU64(input, start + 1, end)) {
          flags.initialLow = read.low;
          flags.initialHigh = read.high;
        } else wrong = LINE.BAD_INITIAL;
        break;
      case code('D'):
        if (readU64(input, start + 1, end)) {
          flags.deltaLow = read.low;
          flags.deltaHigh = read.high;
        } else wrong = LINE.BAD_META_DELTA;
        break;
      case code('v'):
        flags.value = true;
        break;
      case code('u'):
        flags.noUse = true;
        break;
      case code('q'):
        flags.quiet = true;
        break;
      case code('I'):
        flags.stale = true;
        break;
      case code('x'):
        flags.drop = true;
        break;
      case code('O'):
      case code('P'):
      case code('L'):
      case code('k'):
      case code('s'):
      case code('t'):
      case code('c'):
      case code('f'):
      case code('l'):
      case code('h'):
        break;
      default:
        return LINE.BAD_FLAG;
    }
  }
  return wrong !== 0 ? wrong : failed ? LINE.BAD_FORMAT : 0;
}

/** Whether the line has an opaque token that is too long. */
function longOpaque(input: Uint8Array, tokens: Tokens): boolean {
  for (let i = 2; i < tokens.count; i++) {
    if (input[tokens.start[i]] === code('O') && tokens.end[i] - tokens.start[i] > LONGEST_OPAQUE) return true;
  }
  return false;
}

/** What a reply needs to know besides the line: reply.detail. */
export const META = { QUIET: 1, CREATED_FIRST: 2 } as const satisfies Record<string, number>;

/** A meta command whose tokens were read. @returns the offset behind it, negative when it has to wait. */
export function metaCommand(session: Session, input: Uint8Array, at: number, end: number): number {
  const { tokens } = session.engine;
  switch (input[tokens.start[0] + 1]) {
    case code('g'):
      return get(session, input, at);
    case code('s'):
      return set(session, input, at, end);
    case code('d'):
      return remove(session, input, at);
    case code('a'):
      return arithmetic(session, input, at);
    case code('n'):
      return session.say(LINE.MN, at);
    case code('e'):
      return debug(session, input, at);
    default:
      return session.say(LINE.ERROR, at);
  }
}

function get(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count < 2) return session.say(LINE.ERROR, at);
  if (tokens.end[1] - tokens.start[1] > KEY_MAX) return session.say(LINE.BAD_FORMAT, at);
  if (tokens.count + 1 > MOST_TOKENS) return session.say(LINE.MANY_GET_FLAGS, at);
  const wrong = readFlags(input, tokens, 2, engine.now);
  if (wrong !== 0) return session.say(wrong, at);
  if (longOpaque(input, tokens)) return session.say(LINE.LONG_OPAQUE, at);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const options =
    (flags.value ? OPTION.VALUE : 0) |
    (flags.touch ? OPTION.TOUCH : 0) |
    (flags.noUse ? OPTION.QUIET : 0) |
    (flags.vivify ? OPTION.VIVIFY : 0) |
    // Who meets a stale item wins it, asked for or not.
    OPTION.RECACHE |
    (flags.touchFirst ? OPTION.TOUCH_FIRST : 0) |
    (flags.newCas ? OPTION.NEW_CAS : 0);
  const command = batch.add(OP.GET, options, flags.key, flags.keyStart, flags.keyEnd);
  if (flags.touch) batch.set(command, COMMAND.expires, flags.expires);
  if (flags.vivify) batch.set(command, COMMAND.vivify_expires, flags.vivifyExpires);
  if (flags.recache) batch.set(command, COMMAND.recache_before, flags.recacheBefore);
  if (flags.newCas) batch.set64(command, COMMAND.new_cas, flags.newCasLow, flags.newCasHigh);
  batch.reply(REPLY.META_GET, flags.quiet ? META.QUIET : 0, command, at, tokens.lineEnd, 0);
  return tokens.next;
}

/** What ms stores by, from its mode. */
const STORES: Readonly<Record<string, number>> = {
  E: OP.ADD,
  A: OP.APPEND,
  P: OP.PREPEND,
  R: OP.REPLACE,
  S: OP.SET,
  // Later versions take small letters, too.
  e: OP.ADD,
  a: OP.APPEND,
  p: OP.PREPEND,
  r: OP.REPLACE,
  s: OP.SET,
};

function set(session: Session, input: Uint8Array, at: number, end: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count < 2) return session.say(LINE.ERROR, at);
  if (tokens.end[1] - tokens.start[1] > KEY_MAX || tokens.count === 2)
    return session.say(LINE.BAD_FORMAT, at);
  if (tokens.count + 1 > MOST_TOKENS) return session.say(LINE.MANY_FLAGS, at);
  if (!readI64(input, tokens.start[2], tokens.end[2])) return session.say(LINE.BAD_FORMAT, at);
  const bytes = read.low | 0;
  if (bytes < 0 || bytes > 0x7fff_fffd) return session.say(LINE.BAD_FORMAT, at);
  const wrong = readFlags(input, tokens, 3, engine.now);
  if (wrong !== 0) return session.passOver(wrong, at, bytes);
  let op: number = OP.SET;
  if (flags.mode !== 0) {
    op = STORES[String.fromCharCode(flags.mode)] ?? 0;
    if (op === 0) return session.passOver(LINE.MS_MODE, at, bytes);
  }
  if (longOpaque(input, tokens)) return session.passOver(LINE.LONG_OPAQUE, at, bytes);
  let options = flags.newCas ? OPTION.NEW_CAS : 0;
  const extends_ = op === OP.APPEND || op === OP.PREPEND;
  const hasCas = flags.casLow !== 0 || flags.casHigh !== 0;
  if (flags.ifCas) {
    if (op === OP.SET || op === OP.REPLACE) {
      op = OP.SET;
      // 0 is no item's cas: it is not older than any either.
      options |= OPTION.IF_CAS | (flags.stale && hasCas ? OPTION.INVALIDATE : 0);
    } else if (extends_ && hasCas) options |= OPTION.IF_CAS;
  }
  if (extends_ && flags.vivify) options |= OPTION.VIVIFY;
  const quiet = flags.quiet ? META.QUIET : 0;
  const { key, keyStart, keyEnd } = flags;
  const command = session.storing(
    op,
    REPLY.META_SET,
    quiet,
    false,
    true,
    input,
    at,
    end,
    keyStart,
    keyEnd,
    key,
    flags.clientFlags,
    bytes,
  );
  if (command >= 0) {
    batch.words[command >> 2] |= options << 16;
    batch.set(command, COMMAND.expires, flags.expires);
    if (options & OPTION.IF_CAS) batch.set64(command, COMMAND.cas, flags.casLow, flags.casHigh);
    if (flags.newCas) batch.set64(command, COMMAND.new_cas, flags.newCasLow, flags.newCasHigh);
    if (options & OPTION.VIVIFY) batch.set(command, COMMAND.vivify_expires, flags.vivifyExpires);
  }
  return session.after;
}

function remove(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count < 2) return session.say(LINE.ERROR, at);
  if (tokens.end[1] - tokens.start[1] > KEY_MAX) return session.say(LINE.BAD_FORMAT, at);
  if (tokens.count + 1 > MOST_TOKENS) return session.say(LINE.MANY_FLAGS, at);
  if (readFlags(input, tokens, 2, engine.now) !== 0) return session.say(LINE.BAD_OR_DUPLICATE, at);
  if (longOpaque(input, tokens)) return session.say(LINE.LONG_OPAQUE, at);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const options =
    (flags.ifCas ? OPTION.IF_CAS : 0) |
    (flags.stale ? OPTION.INVALIDATE : 0) |
    (flags.stale && flags.touch ? OPTION.TOUCH : 0) |
    (flags.drop ? OPTION.DROP_VALUE : 0) |
    (flags.newCas ? OPTION.NEW_CAS : 0);
  const command = batch.add(OP.DELETE, options, flags.key, flags.keyStart, flags.keyEnd);
  if (flags.touch) batch.set(command, COMMAND.expires, flags.expires);
  if (flags.ifCas) batch.set64(command, COMMAND.cas, flags.casLow, flags.casHigh);
  if (flags.newCas) batch.set64(command, COMMAND.new_cas, flags.newCasLow, flags.newCasHigh);
  batch.reply(REPLY.META_DELETE, flags.quiet ? META.QUIET : 0, command, at, tokens.lineEnd, 0);
  return tokens.next;
}

function arithmetic(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count < 2) return session.say(LINE.ERROR, at);
  if (tokens.end[1] - tokens.start[1] > KEY_MAX) return session.say(LINE.BAD_FORMAT, at);
  if (tokens.count + 1 > MOST_TOKENS) return session.say(LINE.MANY_FLAGS, at);
  if (readFlags(input, tokens, 2, engine.now) !== 0) return session.say(LINE.BAD_OR_DUPLICATE, at);
  const { mode } = flags;
  const increases = mode === 0 || mode === code('I') || mode === code('i') || mode === code('+');
  if (!increases && mode !== code('D') && mode !== code('d') && mode !== code('-')) {
    return session.say(LINE.MA_MODE, at);
  }
  if (longOpaque(input, tokens)) return session.say(LINE.LONG_OPAQUE, at);
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  const ifCas = flags.casLow !== 0 || flags.casHigh !== 0;
  const options =
    (ifCas ? OPTION.IF_CAS : 0) |
    (flags.touch ? OPTION.TOUCH : 0) |
    (flags.vivify ? OPTION.VIVIFY : 0) |
    (flags.newCas ? OPTION.NEW_CAS : 0);
  const op = increases ? OP.INCR : OP.DECR;
  const command = batch.add(op, options, flags.key, flags.keyStart, flags.keyEnd);
  batch.set64(command, COMMAND.number, flags.deltaLow, flags.deltaHigh);
  if (ifCas) batch.set64(command, COMMAND.cas, flags.casLow, flags.casHigh);
  if (flags.newCas) batch.set64(command, COMMAND.new_cas, flags.newCasLow, flags.newCasHigh);
  if (flags.touch) batch.set(command, COMMAND.expires, flags.expires);
  if (flags.vivify) {
    batch.set64(command, COMMAND.initial, flags.initialLow, flags.initialHigh);
    batch.set(command, COMMAND.vivify_expires, flags.vivifyExpires);
  }
  batch.reply(REPLY.META_ARITHMETIC, flags.quiet ? META.QUIET : 0, command, at, tokens.lineEnd, 0);
  return tokens.next;
}

function debug(session: Session, input: Uint8Array, at: number): number {
  const { engine } = session;
  const { batch, tokens } = engine;
  if (tokens.count < 2 || tokens.end[1] - tokens.start[1] > KEY_MAX) return session.say(LINE.BAD_FORMAT, at);
  let key = input;
  let keyStart = tokens.start[1];
  let keyEnd = tokens.end[1];
  if (tokens.count >= 3 && tokens.end[2] - tokens.start[2] === 1 && input[tokens.start[2]] === code('b')) {
    keyEnd = decode(input, keyStart, keyEnd, decoded);
    if (keyEnd === 0) return session.say(LINE.BAD_FORMAT, at);
    key = decoded;
    keyStart = 0;
  }
  if (!batch.fits(KEY_MAX, 0)) return session.wait();
  engine.counters.metaCommands++;
  const command = batch.add(OP.GET, OPTION.QUIET, key, keyStart, keyEnd);
  batch.reply(REPLY.META_DEBUG, 0, command, at, tokens.lineEnd, 0);
  return tokens.next;
}
