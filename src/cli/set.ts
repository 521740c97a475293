import { ArrayView, type OpenedObject } from '../index.ts';
import { CliError } from './output.ts';

/** `--set GLOBAL=VALUE`: also a part of a global, `point.x=5` or `array[2]=7`. */

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
    for (const step of steps.slice(0, -1)) place = descend(place, step, path);
    const last = steps[steps.length - 1];
    const old = descend(place, last, path) as unknown;
    place[last] = valueFor(old, text);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`--set ${assignment}: ${cause instanceof Error ? cause.message : cause}`, 2, {
      cause,
    });
  }
}

function has(place: unknown, step: string): place is Place {
  if (place instanceof ArrayView) return /^\d+$/.test(step) && Number(step) < place.length;
  return typeof place === 'object' && place !== null && step in place;
}

function descend(place: Place, step: string, path: string): Place {
  if (!has(place, step)) {
    const names =
      typeof place === 'object' && place !== null ? Object.keys(place).slice(0, 20).join(', ') : '';
    throw new CliError(`--set ${path}: there is no '${step}'${names && `; known are ${names}`}`);
  }
  return place[step] as Place;
}

/** The text as what stands there now: number, bigint, boolean, or text for enums and char arrays. */
function valueFor(old: unknown, text: string): unknown {
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
      if (old instanceof ArrayView) return text;
      if (old === null) return text === '0' || text === 'null' ? null : whole(text);
      throw new CliError(`it is a struct: set its members one by one`);
  }
}

function whole(text: string): bigint {
  const negative = text.startsWith('-');
  try {
    const magnitude = BigInt(negative ? text.slice(1) : text);
    return negative ? -magnitude : magnitude;
  } catch {
    throw new CliError(`'${text}' is not a whole number`);
  }
}
