import { writeFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { type OpenedObject, open, type ProgramSpec } from '../index.ts';
import { readFile } from '../read-file.ts';
import { CliError } from './output.ts';

/** What the commands read: objects, bytes, numbers. Everything unreadable ends with exit status 2. */

/** Opens an object. */
export async function openObject(path: string): Promise<OpenedObject> {
  try {
    return await open(path);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(message.includes(path) ? message : `${path}: ${message}`, 2, { cause });
  }
}

/** The bytes of a file. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CliError((cause as Error).message, 2, { cause });
  }
}

/** Writes a file. Ends with exit status 2 where that is not possible. */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    throw new CliError((cause as Error).message, 2, { cause });
  }
}

/** What an option gives as `hex:0a0b` or as the name of a file. */
export async function bytesOption(value: string | undefined): Promise<Uint8Array | undefined> {
  if (value === undefined) return undefined;
  if (!value.startsWith('hex:')) return readBytes(value);
  return parseHex(value.slice(4), `'${value}'`);
}

/** Bytes as pairs of hexadecimal digits, with blanks, `_` and `:` between them. @param what is meant to be that. */
export function parseHex(text: string, what: string): Uint8Array {
  const digits = text.replace(/[\s_:]/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
    throw new CliError(`${what} is not pairs of hexadecimal digits`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** An option that takes a whole number. */
export function integer(minimum: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (value.trim() !== '' && Number.isSafeInteger(number) && number >= minimum) return number;
    throw new InvalidArgumentError(`it must be a whole number, ${minimum} or more.`);
  };
}

/** Throws where an object has no programs. */
export function requirePrograms({ name, programs }: OpenedObject): void {
  if (Object.keys(programs).length === 0)
    throw new CliError(
      `${name} has no programs: a program is a function with a section, such as SEC("syscall")`,
    );
}

/** The program that is meant: by name, or the only one there is. */
export function chooseProgram(object: OpenedObject, name: string | undefined): ProgramSpec {
  const names = Object.keys(object.programs);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  if (chosen !== undefined && chosen in object.programs) return object.programs[chosen];
  requirePrograms(object);
  const problem = name === undefined ? 'say which program' : `there is no program '${name}'`;
  throw new CliError(`${problem}: ${object.name} has ${names.join(', ')}`);
}

/**
 * Has an object load these programs alone: and those that its arrays of programs hold from the start, without which no object can be
 * loaded.
 */
export function loadOnly(object: OpenedObject, wanted: readonly ProgramSpec[]): void {
  const held = Object.values(object.maps).flatMap(({ slots }) =>
    slots.filter(({ kind }) => kind === 'program').map(({ name }) => name),
  );
  for (const spec of Object.values(object.programs))
    spec.autoload = wanted.includes(spec) || held.includes(spec.name);
}
