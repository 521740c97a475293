/** Looking things up in tables that are in order, as compilers and this room write them. */

/** How many rows, which are in ascending order of `position`, stand before a place. Takes logarithmic time. */
export function countBefore<Row>(
  rows: readonly Row[],
  place: number,
  position: (row: Row) => number,
): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (position(rows[middle]) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
