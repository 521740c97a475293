/** Keys in base64, as meta commands with the flag b give them: decoded as memcached does, which passes over what is no base64. */

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 61;
const NONE = 255;
const ENCODE = Uint8Array.from(LETTERS, (letter) => letter.charCodeAt(0));
const DECODE = new Uint8Array(256).fill(NONE);
ENCODE.forEach((code, value) => {
  DECODE[code] = value;
});
DECODE[PAD] = 0;

/** @returns how many bytes came out; 0 where the text is no base64. */
export function decode(from: Uint8Array, start: number, end: number, to: Uint8Array): number {
  let letters = 0;
  for (let i = start; i < end; i++) if (DECODE[from[i]] !== NONE) letters++;
  if (letters === 0 || letters % 4 !== 0) return 0;
  let at = 0;
  let count = 0;
  let block = 0;
  let pads = 0;
  for (let i = start; i < end; i++) {
    const value = DECODE[from[i]];
    if (value === NONE) continue;
    if (from[i] === PAD) pads++;
    block = (block << 6) | value;
    if (++count < 4) continue;
    to[at++] = block >> 16;
    to[at++] = block >> 8;
    to[at++] = block;
    if (pads > 2) return 0;
    if (pads > 0) return at - pads;
    count = 0;
    block = 0;
  }
  return at;
}

/** @returns the offset behind what was written. */
export function encode(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  for (let i = start; i < end; i += 3) {
    const block = (from[i] << 16) | ((i + 1 < end ? from[i + 1] : 0) << 8) | (i + 2 < end ? from[i + 2] : 0);
    to[at++] = ENCODE[(block >> 18) & 63];
    to[at++] = ENCODE[(block >> 12) & 63];
    to[at++] = i + 1 < end ? ENCODE[(block >> 6) & 63] : PAD;
    to[at++] = i + 2 < end ? ENCODE[block & 63] : PAD;
  }
  return at;
}
