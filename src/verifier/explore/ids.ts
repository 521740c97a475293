/** Ids of an earlier state, and those that play their part in the current one (Linux: struct bpf_idmap). */
export class Ids {
  readonly #pairs = new Map<number, number>();
  readonly #taken = new Set<number>();
  #fresh = 0;

  same(old: number, current: number): boolean {
    if ((old !== 0) !== (current !== 0)) return false;
    if (old === 0) return true;
    const known = this.#pairs.get(old);
    if (known !== undefined) return known === current;
    if (this.#taken.has(current)) return false;
    this.#pairs.set(old, current);
    this.#taken.add(current);
    return true;
  }

  /** A scalar that was tied to nothing may be tied now. */
  sameScalar(old: number, current: number): boolean {
    if (old === 0) return true;
    return this.same(old, current !== 0 ? current : --this.#fresh);
  }
}
