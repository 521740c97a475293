/** Ids of an earlier state, and those that play their part in the current one (Linux: struct bpf_idmap). */
export class Ids {
  /** Pairs, by place. They are few, and most comparisons end before the first. */
  readonly #old: number[] = [];
  readonly #current: number[] = [];
  #fresh = 0;

  reset(): this {
    this.#old.length = 0;
    this.#current.length = 0;
    this.#fresh = 0;
    return this;
  }

  same(old: number, current: number): boolean {
    if ((old !== 0) !== (current !== 0)) return false;
    if (old === 0) return true;
    const known = this.#old.indexOf(old);
    if (known >= 0) return this.#current[known] === current;
    if (this.#current.includes(current)) return false;
    this.#old.push(old);
    this.#current.push(current);
    return true;
  }

  /** A scalar that was tied to nothing may be tied now. */
  sameScalar(old: number, current: number): boolean {
    if (old === 0) return true;
    return this.same(old, current !== 0 ? current : --this.#fresh);
  }
}
