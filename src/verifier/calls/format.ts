import type { Env } from '../env.ts';
import { rejectSilently } from '../explore/narrate.ts';
import { constantString } from './constant-string.ts';

/** Format strings that the verifier reads (Linux: check_bpf_snprintf_call, bpf_bprintf_prepare). */

const PUNCTUATION = /[!-/:-@[-`{-~]/;

/** bpf_snprintf: the format is in r3, its arguments are r5 bytes of 64-bit numbers. */
export function checkSnprintf(env: Env): void {
  const size = env.reg(5).scalar;
  // Linux takes the known bits for the size.
  const { value } = size.tnum();
  if (value % 8n !== 0n) throw rejectSilently(env, 'EINVAL');
  const format = constantString(env, 3);
  if (format === undefined || checkFormat(format, Number(value) / 8)) return;
  throw env.reject('EINVAL', 'Invalid format string');
}

/** Whether a format is one that Linux prints, with so many arguments. */
function checkFormat(format: Uint8Array, args: number): boolean {
  const text = String.fromCharCode(...format);
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const code = format[i];
    if (!isPrintable(code)) return false;
    if (text[i] !== '%') continue;
    if (text[i + 1] === '%') {
      i++;
      continue;
    }
    if (used >= args) return false;
    i++;
    // Width and flags.
    while (/[0+-]/.test(text[i] ?? '') || text[i] === ' ') i++;
    while (/[1-9]/.test(text[i] ?? '')) for (i++; /\d/.test(text[i] ?? ''); ) i++;
    const after = conversion(text, i);
    if (after === undefined) return false;
    i = after;
    used++;
  }
  return true;
}

/** White space, or a character that prints; bytes above 0x7f are refused. */
function isPrintable(code: number): boolean {
  return (code >= 0x20 && code < 0x7f) || (code >= 9 && code <= 13);
}

/** @returns the index of a conversion's last character, or undefined. */
function conversion(text: string, at: number): number | undefined {
  const ends = (index: number) => {
    const next = text[index];
    return next === undefined || /\s/.test(next) || PUNCTUATION.test(next);
  };
  if (text[at] === 'p') {
    if (ends(at + 1)) return at;
    const word = /^(?:[ku]s|[KxsSB]|[iI][46])/.exec(text.slice(at + 1))?.[0];
    if (word === undefined) return undefined;
    const string = word === 'ks' || word === 'us';
    return string && !ends(at + 3) ? undefined : at + word.length;
  }
  if (text[at] === 's') return ends(at + 1) ? at : undefined;
  if (text[at] === 'c') return at;
  const integer = /^l{0,2}[diuxX]/.exec(text.slice(at));
  return integer === null ? undefined : at + integer[0].length - 1;
}
