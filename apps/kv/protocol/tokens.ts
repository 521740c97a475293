/**
 * A command line, taken apart as memcached does it: at spaces only, up to the newline, with a carriage return before it dropped and
 * a zero byte ending it early. At most 23 tokens are told apart.
 */

/** Tokens of a line, at most; what is behind them is not looked at. */
const TOKENS = 23;

export class Tokens {
  /** Where each starts and ends. */
  readonly start = new Int32Array(TOKENS + 1);
  readonly end = new Int32Array(TOKENS + 1);
  count = 0;
  /** Where the line's text ends, and the offset behind its newline. */
  lineEnd = 0;
  next = 0;

  /** Takes the line at `at` apart. @returns false when its end has not come yet. */
  read(bytes: Uint8Array, at: number, limit: number): boolean {
    const { start, end } = this;
    let count = 0;
    let first = at;
    let i = at;
    let cut = -1;
    for (; ; i++) {
      if (i >= limit) return false;
      const byte = bytes[i];
      if (byte > 32) continue;
      if (byte === 32) {
        if (first !== i && count < TOKENS && cut < 0) {
          start[count] = first;
          end[count++] = i;
        }
        first = i + 1;
      } else if (byte === 10) break;
      else if (byte === 0 && cut < 0) {
        cut = i;
        if (first !== i && count < TOKENS) {
          start[count] = first;
          end[count++] = i;
        }
      }
    }
    this.next = i + 1;
    let last = cut < 0 ? i : cut;
    if (cut < 0) {
      if (i - at > 1 && bytes[i - 1] === 13) last--;
      if (first < last && count < TOKENS) {
        start[count] = first;
        end[count++] = last;
      }
    }
    this.lineEnd = last;
    this.count = count;
    return true;
  }

  /** Whether a token is a word. */
  is(bytes: Uint8Array, token: number, word: Uint8Array): boolean {
    const at = this.start[token];
    if (this.end[token] - at !== word.length) return false;
    for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
    return true;
  }
}
