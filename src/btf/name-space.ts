/** Gives names that are unique in one scope of a printed file: the second `foo` becomes `foo___2`, which CO-RE ignores. */

export class NameSpace {
  /** Names that are taken, and how far the numbers behind each have gone. */
  readonly #used: Map<string, number>;

  constructor(reserved: readonly string[] = []) {
    this.#used = new Map(reserved.map((name) => [name, 1]));
  }

  claim(wanted: string): string {
    const base = identifier(wanted);
    let number = this.#used.get(base) ?? 0;
    if (number === 0) {
      this.#used.set(base, 1);
      return base;
    }
    let name: string;
    do name = `${base}___${++number}`;
    while (this.#used.has(name));
    this.#used.set(base, number);
    this.#used.set(name, 1);
    return name;
  }
}

/** A name that C and TypeScript can take: those of other languages lose what they cannot. */
export function identifier(name: string): string {
  const text = name.replace(/[^\w$]/g, '_');
  return /^[A-Za-z_$]/.test(text) ? text : `_${text}`;
}
