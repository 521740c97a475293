/**
 * What views cost: nanoseconds, medians of 15 rounds, over a memory that checks bounds as a kernel's does. Prints one line
 * a measurement. Several struct types are in use, as in a real program: one alone would flatter the engine's caches.
 */

import { BtfBuilder } from '../src/btf/index.ts';
import { BpfError } from '../src/errors.ts';
import { castView, type ViewMemory, viewOf } from '../src/view/index.ts';
import { argumentsOf } from '../tools/arguments.ts';

argumentsOf('usage: npm run bench -- view', { json: { type: 'boolean' } });

const NODES = 100_000;
const NODE_SIZE = 24;
const HIGH = 0x7f00;
const BASE = 64;

class BenchMemory implements ViewMemory {
  readonly view = new DataView(new SharedArrayBuffer(BASE + NODES * NODE_SIZE));

  touch(offset: number, length: number): void {
    if (offset + length > this.view.byteLength) throw new BpfError('EFAULT', `${offset} is outside`);
  }

  pointerTarget(_low: number, high: number): ViewMemory | undefined {
    return high === HIGH ? this : undefined;
  }

  pointerOffset(low: number): number {
    return low >>> 0;
  }

  addressOf(offset: number): bigint {
    return (BigInt(HIGH) << 32n) | BigInt(offset);
  }
}

interface Node {
  next: Node | null;
  u32: number;
  u64: bigint;
}

const builder = new BtfBuilder();
const u32 = builder.int('unsigned int', 4);
const u64 = builder.int('unsigned long long', 8);
const node = builder.reserve();
const fields = [
  { name: 'next', type: builder.ptr(node) },
  { name: 'u64', type: u64 },
  { name: 'u32', type: u32 },
];
builder.composite('struct', 'node', fields, node);
for (let i = 0; i < 8; i++) builder.composite('struct', `other${i}`, fields);
const btf = builder.build();
const memory = new BenchMemory();

// In an order that is not the memory's, as a list that has lived is.
const order = Array.from({ length: NODES }, (_, index) => (index * 7919) % NODES);
order.forEach((at, index) => {
  const offset = BASE + at * NODE_SIZE;
  const next = index + 1 < NODES ? memory.addressOf(BASE + order[index + 1] * NODE_SIZE) : 0n;
  memory.view.setBigUint64(offset, next, true);
  memory.view.setUint32(offset + 16, 3, true);
});

const first = viewOf<Node>(btf, node, memory, BASE);

function walk(from: Node): number {
  let sum = 0;
  for (let n: Node | null = from; n !== null; n = n.next) sum += n.u32;
  return sum;
}

function readU32(view: Node): number {
  let sum = 0;
  for (let i = 0; i < NODES; i++) sum += view.u32;
  return sum;
}

function readU64(view: Node): bigint {
  let last = 0n;
  for (let i = 0; i < NODES; i++) last = view.u64;
  return last;
}

function median(run: () => unknown): number {
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    run();
    return ((performance.now() - start) * 1e6) / NODES;
  });
  return times.sort((a, b) => a - b)[7];
}

for (let i = 0; i < 8; i++) {
  const other = castView<Node>(first, `struct other${i}`);
  readU32(other);
  void other.next;
}
const start = performance.now();
walk(first);
const cold = ((performance.now() - start) * 1e6) / NODES;

console.log(`first walk, a node   ${cold.toFixed(0)} ns`);
console.log(`later walk, a node   ${median(() => walk(first)).toFixed(0)} ns`);
console.log(`u32 field, a read    ${median(() => readU32(first)).toFixed(1)} ns`);
console.log(`u64 field, a read    ${median(() => readU64(first)).toFixed(1)} ns`);
