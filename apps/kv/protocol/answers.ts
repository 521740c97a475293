/**
 * Results of the store as bytes for the client: a walk over the replies of a batch beside the results that its commands gave, each
 * copied once, from the arena into the output.
 */
import { REPLY } from '../batch.ts';
import { align8, RESULT, RESULT_BYTES, STATUS } from '../layout.ts';
import type { Engine } from './engine.ts';
import { LINE, lineFor } from './lines.ts';
import { renderMeta } from './meta-answers.ts';
import { NUMBER_BYTES, writeU32, writeU64 } from './numbers.ts';
import { copy, type Output } from './output.ts';

const CR = 13;
const LF = 10;

/** Of a VALUE line besides its key: the word, spaces, three numbers, line ends. */
const VALUE_LINE = 6 + 3 * (NUMBER_BYTES + 1) + 4;

/**
 * Adds the answers to a batch that was run.
 * @param done how many of its commands are done. @returns how many replies were given; the ones from there on wait for their command.
 */
export function renderReplies(engine: Engine, input: Uint8Array, done: number): number {
  const { batch, output, store } = engine;
  const { resultWords: words, results } = store;
  const { count, kind, detail, command } = batch;
  let at = 0;
  for (let row = 0; row < count; row++) {
    const from = command[row];
    if (from < 0) {
      output.line(detail[row]);
      continue;
    }
    if (done-- <= 0) return row;
    const result = at;
    const word = at >> 2;
    const status = words[word];
    const carried = words[word + RESULT.carried / 4];
    at += RESULT_BYTES + align8(carried);
    switch (kind[row]) {
      case REPLY.VALUE: {
        if (status !== STATUS.OK) break;
        const start = batch.start[row];
        const end = batch.end[row];
        engine.hotKeys.note(input, start, end);
        output.room(VALUE_LINE + end - start + carried);
        const { bytes } = output;
        let to = output.used;
        bytes[to] = 86;
        bytes[to + 1] = 65;
        bytes[to + 2] = 76;
        bytes[to + 3] = 85;
        bytes[to + 4] = 69;
        bytes[to + 5] = 32;
        to = copy(input, start, end, bytes, to + 6);
        bytes[to++] = 32;
        to = writeU32(bytes, to, words[word + RESULT.flags / 4]);
        bytes[to++] = 32;
        to = writeU32(bytes, to, carried);
        if (detail[row] === 1) {
          bytes[to++] = 32;
          to = writeU64(bytes, to, words[word + RESULT.cas / 4], words[word + RESULT.cas / 4 + 1]);
        }
        bytes[to] = CR;
        bytes[to + 1] = LF;
        to = copy(results, result + RESULT_BYTES, result + RESULT_BYTES + carried, bytes, to + 2);
        bytes[to] = CR;
        bytes[to + 1] = LF;
        output.used = to + 2;
        break;
      }
      case REPLY.STATUS:
        if (detail[row] >= 0) output.line(lineFor(detail[row], status));
        break;
      case REPLY.LINE:
        output.line(detail[row]);
        break;
      case REPLY.NUMBER:
        if (detail[row] >= 0) number(output, results, result, status, carried);
        break;
      default:
        renderMeta(engine, input, row, result, status);
    }
  }
  return count;
}

/** What a command said that adds to a number. */
const ARITHMETIC: Readonly<Record<number, number>> = {
  [STATUS.NOT_FOUND]: LINE.NOT_FOUND,
  [STATUS.NOT_A_NUMBER]: LINE.NON_NUMERIC,
  [STATUS.NO_MEMORY]: LINE.NO_MEMORY_DELTA,
  [STATUS.BUSY]: LINE.BUSY,
};

/** The line that says why there is no number. */
export const arithmeticLine = (status: number): number => ARITHMETIC[status] ?? LINE.UNHANDLED;

function number(output: Output, results: Uint8Array, result: number, status: number, carried: number): void {
  if (status !== STATUS.OK) {
    output.line(arithmeticLine(status));
    return;
  }
  output.room(carried + 2);
  let to = copy(results, result + RESULT_BYTES, result + RESULT_BYTES + carried, output.bytes, output.used);
  output.bytes[to++] = CR;
  output.bytes[to++] = LF;
  output.used = to;
}
