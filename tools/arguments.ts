import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * The command lines of the repository's own scripts, all of which answer `--help` with their usage, and anything they do not understand
 * with what it was and their usage, on standard error, and exit status 2.
 */

type Options = NonNullable<ParseArgsConfig['options']>;

/** What the arguments say. `--help` is understood besides the options. */
export function argumentsOf<const O extends Options, const P extends boolean = false>(
  usage: string,
  options: O,
  allowPositionals: P = false as P,
): ReturnType<typeof parseArgs<{ options: O; allowPositionals: P }>> {
  if (process.argv.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ options, allowPositionals });
  } catch (error) {
    return misunderstood(usage, (error as Error).message);
  }
}

/** Ends the script. */
export function misunderstood(usage: string, what: string): never {
  console.error(`${what}\n${usage}`);
  process.exit(2);
}

/** An option's whole number, at least so many. */
export function wholeNumber(usage: string, name: string, text: string, least: number): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(number) || number < least)
    misunderstood(usage, `--${name} is a whole number, at least ${least}: not '${text}'`);
  return number;
}

/** An option's number above 0. */
export function positiveNumber(usage: string, name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    misunderstood(usage, `--${name} is a number above 0: not '${text}'`);
  return number;
}

/** The bytes of a file that an argument names. */
export function readFile(usage: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    return misunderstood(usage, `cannot read ${path}: ${(error as Error).message}`);
  }
}
