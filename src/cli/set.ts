import { ArrayView, type OpenedObject } from '../index.ts';
import { CliError } from './output.ts';

/** `--set GLOBAL=VALUE`: also a part of a global, `point.x=5` or `array[2]=7`, and a whole array, `array=1,2,3`. */

type Place = Record<string, unknown>;

/** Sets an initial value before load. Throws a CliError when there is no such variable or the value does not fit. */
export function setGlobal(object: OpenedObject, assignment: string): void {
  const [, path, text] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
  if (path === undefined) throw new CliError(`--set takes GLOBAL=VALUE, not '${assignment}'`);
  const steps = path
    .trim()
    .split(/\.|\[|\]\.?/)
    .filter((step) => step !== '');
  let place: Place = object.globals;
  try {
    for (const step of steps.slice(0, -1)) place = descend(place, step);
    const last = steps[steps.length - 1];
    const old = descend(place, last) as unknown;
    place[last] = valueFor(old, text, path.trim());
  } catch (cause) {
    throw new CliError(`--set ${assignment}: ${cause instanceof Error ? cause.message : cause}`, 2, {
      cause,
    });
  }
}

function has(place: unknown, step: string): place is Place {
  if (place instanceof ArrayView) return /^\d+$/.test(step) && Number(step) < place.length;
  return namesOf(place).includes(step);
}

function descend(place: Place, step: string): Place {
  if (has(place, step)) return place[step] as Place;
  throw new CliError(`there is no '${step}'${known(place)}`);
}

function known(place: unknown): string {
  if (place instanceof ArrayView) return `; elements are 0 to ${place.length - 1}`;
  const names = namesOf(place).slice(0, 20).join(', ');
  return names && `; known are ${names}`;
}

/** The variables or members in a place. Members are enumerable accessors that a struct's views inherit. */
function namesOf(place: unknown): string[] {
  const names: string[] = [];
  if (typeof place === 'object') for (const name in place) names.push(name);
  return names;
}

/**
 * The text as what stands there now: number, bigint, boolean, text for enums and arrays of bytes, numbers with commas between them
 * for other arrays. @param path what stands there, for messages.
 */
function valueFor(old: unknown, text: string, path: string): unknown {
  switch (typeof old) {
    case 'bigint':
      return whole(text);
    case 'boolean':
      if (/^(1|true|y)$/i.test(text)) return true;
      if (/^(0|false|n)$/i.test(text)) return false;
      throw new CliError(`'${text}' is neither true nor false`);
    case 'number':
      return /^-?\d*\.\d+(e-?\d+)?$/i.test(text) ? Number(text) : Number(whole(text));
    case 'string':
      return /^-?(0x[\da-f]+|\d+)$/i.test(text) ? Number(whole(text)) : text;
    default:
      if (old instanceof ArrayView && holdsText(old)) return text;
      if (old instanceof ArrayView)
        return text
          .split(',')
          .map((each, i) => valueFor(old.at(Math.min(i, old.length - 1)), each, `${path}[${i}]`));
      if (old === null) return text === '0' || text === 'null' ? null : whole(text);
      throw new CliError(`it is a struct: set its members one by one, ${path}.${namesOf(old)[0]}=…`);
  }
}

/** Whether text can be assigned to an array: its elements are single bytes. */
function holdsText(array: ArrayView<unknown>): boolean {
  try {
    return typeof array.string === 'string';
  } catch {
    return false;
  }
}

function whole(text: string): bigint {
  const [, sign, digits] = /^\s*(-?)(0x[\da-f]+|0o[0-7]+|0b[01]+|\d+)\s*$/i.exec(text) ?? [];
  if (digits === undefined) throw new CliError(`'${text}' is not a whole number`);
  return sign === '-' ? -BigInt(digits) : BigInt(digits);
}
