/** Writes one snapshot after the other, each full of its number, until it is killed. Says each number when it has its name. */
import { PAGE } from '../../apps/kv/layout.ts';
import { readSnapshot, writeSnapshot } from '../../apps/kv/snapshot.ts';

export const IDENTITY = { object: 'hash', kernel: 'embedded', memory: 64, low: 0 };
/** Runs of pages with holes between them. */
const EXTENTS = Uint32Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? i * 40 : 16));

const [, , file] = process.argv;
if (file !== undefined && import.meta.main) {
  const last = readSnapshot(file, IDENTITY);
  let number = typeof last === 'object' ? last.image.bytes[0] : 0;
  for (;;) {
    number = (number + 1) % 256;
    await writeSnapshot(
      file,
      { extents: EXTENTS, bytes: new Uint8Array(32 * 16 * PAGE).fill(number) },
      IDENTITY,
      7,
    );
    process.stdout.write(`${number}\n`);
  }
}
