/**
 * What is answered to meta commands. The flags of the line are read again, since what is said is said in their order, and a flag that
 * changes something shows in what stands behind it.
 */

import { REPLY } from '../batch.ts';
import { COMMAND, COMMAND_BYTES, ITEM, RESULT, RESULT_BYTES, STATUS } from '../layout.ts';
import { arithmeticLine } from './answers.ts';
import { encode } from './base64.ts';
import type { Engine } from './engine.ts';
import { LINE } from './lines.ts';
import { META } from './meta.ts';
import { writeU32, writeU64 } from './numbers.ts';
import { copy } from './output.ts';

const code = (letter: string): number => letter.charCodeAt(0);
const SPACE = 32;
const CR = 13;
const LF = 10;

/** Of an answer besides the value: words, up to 20 flags that each say a number, the key in base64, the opaque. */
const MOST = 1024;

/** What ms and md say of a status. */
const CODES: Readonly<Record<number, string>> = {
  [STATUS.OK]: 'HD',
  [STATUS.NOT_FOUND]: 'NF',
  [STATUS.NOT_STORED]: 'NS',
  [STATUS.EXISTS]: 'EX',
  // As for append: memcached cannot have the memory, and calls that not stored.
  [STATUS.TOO_LARGE]: 'NS',
};

/** @param row of the batch. @param result the result's offset. */
export function renderMeta(
  engine: Engine,
  input: Uint8Array,
  row: number,
  result: number,
  status: number,
): void {
  const { batch, output } = engine;
  output.room(MOST);
  switch (batch.kind[row]) {
    case REPLY.META_GET:
      if (status === STATUS.OK) hit(engine, input, row, result, true);
      else if (status === STATUS.NOT_FOUND) {
        if (!(batch.detail[row] & META.QUIET)) withoutItem(engine, input, row, 'EN');
      } else output.line(status === STATUS.NO_MEMORY ? LINE.NO_MEMORY : LINE.BUSY);
      break;
    case REPLY.META_SET:
      stored(engine, input, row, result, status);
      break;
    case REPLY.META_DELETE:
      if (status === STATUS.OK && batch.detail[row] & META.QUIET) break;
      if (CODES[status] !== undefined) withoutItem(engine, input, row, CODES[status]);
      else output.line(LINE.BUSY);
      break;
    case REPLY.META_ARITHMETIC:
      if (status === STATUS.OK) {
        // The number that was not there before is said even to who wanted to hear nothing.
        if (!(batch.detail[row] & META.QUIET) || isCreated(engine, result))
          hit(engine, input, row, result, false);
      } else if (status === STATUS.NOT_FOUND || status === STATUS.EXISTS) {
        withoutItem(engine, input, row, CODES[status]);
      } else output.line(arithmeticLine(status));
      break;
    case REPLY.META_DEBUG:
      if (status === STATUS.OK) debug(engine, input, row, result);
      else output.line(status === STATUS.NOT_FOUND ? LINE.META_MISS : LINE.BUSY);
      break;
  }
}

/** Whether the command made the item: then the caller has won it. */
function isCreated(engine: Engine, result: number): boolean {
  return (engine.store.resultWords[(result + RESULT.item) >> 2] & ITEM.WON) !== 0;
}

/** The next token of the line: its start, its end, or `stop` when there is none. */
const token = { start: 0, end: 0 };

function nextToken(input: Uint8Array, from: number, stop: number): boolean {
  let at = from;
  while (at < stop && input[at] === SPACE) at++;
  token.start = at;
  while (at < stop && input[at] !== SPACE) at++;
  token.end = at;
  return at > token.start;
}

/** Goes behind the first tokens of a line. */
function skip(input: Uint8Array, row: number, engine: Engine, tokens: number): number {
  const stop = engine.batch.end[row];
  let at = engine.batch.start[row];
  for (let i = 0; i < tokens && nextToken(input, at, stop); i++) at = token.end;
  return at;
}

/** ` k` and the key, in base64 where the line gave it so. */
function key(engine: Engine, row: number, binary: boolean, to: number): number {
  const { batch, output } = engine;
  const { bytes } = output;
  const command = batch.command[row];
  const start = command + COMMAND_BYTES;
  const end = start + ((batch.words[command >> 2] >>> 8) & 0xff);
  bytes[to++] = SPACE;
  bytes[to++] = code('k');
  if (!binary) return copy(batch.bytes, start, end, bytes, to);
  to = encode(batch.bytes, start, end, bytes, to);
  bytes[to++] = SPACE;
  bytes[to++] = code('b');
  return to;
}

/** Whether the line has the flag b. */
function isBinary(input: Uint8Array, from: number, stop: number): boolean {
  for (let at = from; nextToken(input, at, stop); at = token.end)
    if (input[token.start] === code('b')) return true;
  return false;
}

function flagged(bytes: Uint8Array, to: number, letter: number): number {
  bytes[to] = SPACE;
  bytes[to + 1] = letter;
  return to + 2;
}

/** Seconds that are left; -1 for an item that stays. */
function timeLeft(bytes: Uint8Array, to: number, expires: number, now: number): number {
  to = flagged(bytes, to, code('t'));
  if (expires !== 0) return writeU32(bytes, to, (expires - now) >>> 0);
  bytes[to] = 45;
  bytes[to + 1] = 49;
  return to + 2;
}

/** mg's hit, or ma's. */
function hit(engine: Engine, input: Uint8Array, row: number, result: number, retrieves: boolean): void {
  const { batch, output, store, now } = engine;
  const words = store.resultWords;
  const word = result >> 2;
  const carried = words[word + RESULT.carried / 4];
  const stop = batch.end[row];
  const from = skip(input, row, engine, 2);
  const command = batch.command[row];
  let value = false;
  for (let at = from; nextToken(input, at, stop); at = token.end) value ||= input[token.start] === code('v');
  const binary = isBinary(input, from, stop);
  output.room(MOST + carried);
  const { bytes } = output;
  let to = output.used;
  if (value) {
    bytes[to] = code('V');
    bytes[to + 1] = code('A');
    bytes[to + 2] = SPACE;
    to = writeU32(bytes, to + 3, carried);
  } else {
    bytes[to] = code('H');
    bytes[to + 1] = code('D');
    to += 2;
  }
  const item = words[word + RESULT.item / 4];
  const created = isCreated(engine, result) && !(item & ITEM.STALE);
  let expires = words[word + RESULT.expires_before / 4];
  for (let at = from; nextToken(input, at, stop); at = token.end) {
    const letter = input[token.start];
    switch (letter) {
      case code('T'):
        expires = batch.words[(command + COMMAND.expires) >> 2];
        break;
      case code('N'):
        if (created) expires = words[word + RESULT.expires / 4];
        break;
      case code('s'):
        if (retrieves) to = writeU32(bytes, flagged(bytes, to, letter), words[word + RESULT.value_bytes / 4]);
        break;
      case code('t'):
        to = timeLeft(bytes, to, expires, now);
        break;
      case code('c'):
        to = flagged(bytes, to, letter);
        to = writeU64(bytes, to, words[word + RESULT.cas / 4], words[word + RESULT.cas / 4 + 1]);
        break;
      case code('f'):
        if (retrieves) to = writeU32(bytes, flagged(bytes, to, letter), words[word + RESULT.flags / 4]);
        break;
      case code('l'):
        if (retrieves) {
          to = writeU32(bytes, flagged(bytes, to, letter), (now - words[word + RESULT.accessed / 4]) >>> 0);
        }
        break;
      case code('h'):
        if (retrieves) {
          to = flagged(bytes, to, letter);
          bytes[to++] = item & ITEM.FETCHED ? 49 : 48;
        }
        break;
      case code('O'):
        bytes[to++] = SPACE;
        to = copy(input, token.start, token.end, bytes, to);
        break;
      case code('k'):
        to = key(engine, row, binary, to);
        break;
    }
  }
  if (retrieves) {
    if (item & ITEM.WIN_SENT) to = flagged(bytes, to, code('Z'));
    if (item & ITEM.STALE) to = flagged(bytes, to, code('X'));
    if (item & ITEM.WON) to = flagged(bytes, to, code('W'));
  }
  bytes[to] = CR;
  bytes[to + 1] = LF;
  to += 2;
  if (value) {
    const start = result + RESULT_BYTES;
    to = copy(store.results, start, start + carried, bytes, to);
    bytes[to] = CR;
    bytes[to + 1] = LF;
    to += 2;
  }
  output.used = to;
}

/** An answer with nothing of an item: two letters, opaque and key. */
function withoutItem(engine: Engine, input: Uint8Array, row: number, letters: string): void {
  const { batch, output } = engine;
  const { bytes } = output;
  const stop = batch.end[row];
  const from = skip(input, row, engine, 2);
  const binary = isBinary(input, from, stop);
  let to = output.used;
  bytes[to] = letters.charCodeAt(0);
  bytes[to + 1] = letters.charCodeAt(1);
  to += 2;
  for (let at = from; nextToken(input, at, stop); at = token.end) {
    const letter = input[token.start];
    if (letter === code('O')) {
      bytes[to++] = SPACE;
      to = copy(input, token.start, token.end, bytes, to);
    } else if (letter === code('k')) to = key(engine, row, binary, to);
  }
  bytes[to] = CR;
  bytes[to + 1] = LF;
  output.used = to + 2;
}

function stored(engine: Engine, input: Uint8Array, row: number, result: number, status: number): void {
  const { batch, output, store } = engine;
  const letters = CODES[status];
  if (letters === undefined) {
    output.line(
      status === STATUS.NO_MEMORY ? LINE.NO_MEMORY : status === STATUS.BUSY ? LINE.BUSY : LINE.UNHANDLED,
    );
    return;
  }
  if (status === STATUS.OK && batch.detail[row] & META.QUIET) return;
  const { bytes } = output;
  const stop = batch.end[row];
  const from = skip(input, row, engine, 3);
  const binary = isBinary(input, from, stop);
  let to = output.used;
  bytes[to] = letters.charCodeAt(0);
  bytes[to + 1] = letters.charCodeAt(1);
  to += 2;
  for (let at = from; nextToken(input, at, stop); at = token.end) {
    const letter = input[token.start];
    if (letter === code('O')) {
      bytes[to++] = SPACE;
      to = copy(input, token.start, token.end, bytes, to);
    } else if (letter === code('k')) to = key(engine, row, binary, to);
    else if (letter === code('c')) {
      const word = (result + RESULT.cas) >> 2;
      to = flagged(bytes, to, letter);
      const { resultWords: words } = store;
      to = status === STATUS.OK ? writeU64(bytes, to, words[word], words[word + 1]) : writeU32(bytes, to, 0);
    }
  }
  bytes[to] = CR;
  bytes[to + 1] = LF;
  output.used = to + 2;
}

/** me: everything there is to say of an item. */
function debug(engine: Engine, input: Uint8Array, row: number, result: number): void {
  const { batch, output, store, now } = engine;
  const words = store.resultWords;
  const word = result >> 2;
  const from = skip(input, row, engine, 2);
  const binary = nextToken(input, from, batch.end[row]) && input[token.start] === code('b');
  const { bytes } = output;
  const command = batch.command[row];
  const start = command + COMMAND_BYTES;
  const end = start + ((batch.words[command >> 2] >>> 8) & 0xff);
  let to = output.used;
  bytes[to++] = code('M');
  bytes[to++] = code('E');
  bytes[to++] = SPACE;
  to = binary ? encode(batch.bytes, start, end, bytes, to) : copy(batch.bytes, start, end, bytes, to);
  output.used = to;
  const expires = words[word + RESULT.expires / 4];
  const cas = BigInt(words[word + RESULT.cas / 4 + 1]) * 2n ** 32n + BigInt(words[word + RESULT.cas / 4]);
  const fetched = words[word + RESULT.item / 4] & ITEM.FETCHED ? 'yes' : 'no';
  const size = ITEM_HEADER + end - start + words[word + RESULT.value_bytes / 4];
  const idle = now - words[word + RESULT.accessed / 4];
  output.text(
    ` exp=${expires === 0 ? -1 : now - expires} la=${idle} cas=${cas} fetch=${fetched} cls=0 size=${size}\r\n`,
  );
}

/** Bytes of an item besides key and value: struct kv_item. */
const ITEM_HEADER = 40;
