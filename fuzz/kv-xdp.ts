import { embedded } from '../src/index.ts';
import { linux, linuxUnavailable } from '../src/linux/index.ts';
import { tryFrame } from '../test/kv-xdp/compare.ts';
import { mutation } from '../test/kv-xdp/mutations.ts';
import { AcceleratedStore, growOf } from '../test/kv-xdp/store.ts';
import { argumentsOf, wholeNumber } from '../tools/arguments.ts';

/**
 * `npm run fuzz:kv-xdp -- --packets N --seed S`: damaged requests through the store's XDP program on both kernels, and a judge that
 * knows nothing of it: the same verdict, the same bytes, and no answer to what is malformed.
 */

const USAGE = `usage: npm run fuzz:kv-xdp -- [--packets N] [--seed S]
  --packets N  how many (1000000)
  --seed S     packet i is made of seed S + i (1)`;

const TELL_EVERY = 100_000;

const { values } = argumentsOf(USAGE, {
  packets: { type: 'string', default: '1000000' },
  seed: { type: 'string', default: '1' },
});
const packets = wholeNumber(USAGE, 'packets', values.packets, 1);
const seed = wholeNumber(USAGE, 'seed', values.seed, 0);

const reason = linuxUnavailable();
if (reason !== undefined) console.log(`Linux: not run: ${reason}`);
const kernels = [embedded(), ...(reason === undefined ? [linux()] : [])];
const stores: [string, AcceleratedStore][] = [];
for (const kernel of kernels) stores.push([kernel.name, await AcceleratedStore.open(kernel)]);
let answers = 0;
try {
  for (let i = 0; i < packets; i++) {
    const { answered, problem } = tryFrame(stores, mutation(seed + i), growOf(i));
    if (problem !== undefined) {
      console.error(`seed ${seed + i}: ${problem}`);
      process.exitCode = 1;
      break;
    }
    if (answered) answers++;
    if ((i + 1) % TELL_EVERY === 0) console.log(`${i + 1} packets, ${answers} answered, no difference`);
  }
  if (process.exitCode === undefined)
    console.log(`${packets} packets from seed ${seed}, ${answers} answered: no difference`);
} finally {
  for (const [, store] of stores) store[Symbol.dispose]();
  for (const kernel of kernels) kernel.close();
}
