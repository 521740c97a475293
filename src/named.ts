import { BpfError } from './errors.ts';

/**
 * Names, and what is probably meant by one that is not there. {@link named} makes records that take no other names: the proxy at
 * the end of their prototype chain sees only names that they do not have, so those they have cost nothing more.
 */

/**
 * Whether two names are the same but for upper and lower case and one slip: a letter added, dropped or changed, or two neighbours
 * swapped.
 */
export function looksLike(one: string, other: string): boolean {
  const a = one.toLowerCase();
  const b = other.toLowerCase();
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const rest = (text: string, from: number) => text.slice(at + from);
  return (
    rest(a, 1) === rest(b, 1) ||
    rest(a, 1) === rest(b, 0) ||
    rest(a, 0) === rest(b, 1) ||
    (a[at] === b[at + 1] && a[at + 1] === b[at] && rest(a, 2) === rest(b, 2))
  );
}

/** What JavaScript itself looks for in any object. */
const PROBED: ReadonlySet<string> = new Set(['then', 'toJSON', 'toString', 'valueOf', 'constructor']);

/** Names that a message gives at most. */
const MOST_NAMES = 20;

/** `; known are a, b`, to end a sentence about a name that is not there; nothing where there are no names. */
export function knownNames(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `; known are ${names.slice(0, MOST_NAMES).join(', ')}${names.length > MOST_NAMES ? ', …' : ''}`;
}

/**
 * Which of the names a name that is not there was probably meant to be. Undefined for what tools and JavaScript itself look for in
 * any object.
 */
export function meantName(names: Iterable<string>, missing: string): string | undefined {
  if (PROBED.has(missing)) return undefined;
  for (const name of names) if (looksLike(name, missing)) return name;
  return undefined;
}

/**
 * Makes a record take no other names: assigning to one throws ENOENT and says which there are, and so does reading one that looks
 * like a name that is there. Other names read as undefined, as in JavaScript: tools look for names of their own in all objects.
 *
 * @param record can still be extended; its prototype is replaced.
 * @param what says in the message what is missing: `there is no global variable`.
 */
export function named<T extends object>(record: T, what: string): T {
  const refuse = (name: string) =>
    new BpfError('ENOENT', `${what} '${name}'${knownNames(Object.keys(record))}`);
  const end = new Proxy(Object.create(null), {
    get(_, key) {
      if (typeof key !== 'string') return undefined;
      if (meantName(Object.keys(record), key) !== undefined) throw refuse(key);
      return undefined;
    },
    set(_, key) {
      throw refuse(String(key));
    },
  });
  return Object.setPrototypeOf(record, end);
}
