/** The keys that are asked for most, as a sample shows them: one of so many hits is counted, and old counts fade. */

/** Hits for each one that is counted; a power of two. */
const EVERY = 64;
/** Keys that are told apart, at most. */
const KEYS = 512;

export class HotKeys {
  private ticks = 0;
  private readonly counts = new Map<string, number>();

  /** A hit. */
  note(bytes: Uint8Array, start: number, end: number): void {
    if ((++this.ticks & (EVERY - 1)) !== 0) return;
    const key = Buffer.from(bytes.subarray(start, end)).toString('latin1');
    const { counts } = this;
    const known = counts.get(key);
    if (known === undefined && counts.size >= KEYS) this.fade();
    counts.set(key, (known ?? 0) + 1);
  }

  /** Halves all counts; who has none left makes room. */
  private fade(): void {
    for (const [key, count] of this.counts) {
      if (count <= 1) this.counts.delete(key);
      else this.counts.set(key, count >> 1);
    }
  }

  /** The first so many, with their part of all that was counted. */
  top(most: number): { key: string; share: number }[] {
    const all = [...this.counts].sort(([, a], [, b]) => b - a);
    const sum = all.reduce((total, [, count]) => total + count, 0);
    return all.slice(0, most).map(([key, count]) => ({ key, share: count / sum }));
  }
}
