import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { KernelMemory } from '../kernel-memory.ts';
import type { KernelOffset } from '../layout.ts';
import { peek, push } from '../objects/list.ts';
import { ValueFields } from './value.ts';

/** Another CPU, which holds a lock for a while, and says whether the word at `list` was still what it was when it lets go. */
const HOLDER = `
const { parentPort, workerData: { buffer, lock, list } } = require('node:worker_threads');
const words = new Int32Array(buffer);
const first = words[list];
parentPort.postMessage('holds');
setTimeout(() => {
  const isSame = words[list] === first;
  Atomics.store(words, lock, 0);
  parentPort.postMessage(isSame);
}, 40);
`;

it('a list in a value is emptied only while its lock is held', async () => {
  const memory = KernelMemory.open();
  const place = memory.allocate(4096);
  const value = memory.allocate(4096);
  // A type of 64 bytes, without fields of the kernel's.
  const type = memory.heap.allocate(16);
  memory.int32[type >>> 2] = 64;
  ValueFields.write(memory, place, [
    { kind: 'spin_lock', off: 0, size: 4, type: 0 as KernelOffset, nodeOff: 0 },
    { kind: 'list_head', off: 8, size: 16, type, nodeOff: 0 },
  ]);
  const fields = new ValueFields(memory, place, 24);
  push(memory, value + 8, memory.heap.allocate(64), true);
  const lock = value >>> 2;
  memory.int32[lock] = 2;
  const workerData = { buffer: memory.memory.buffer, lock, list: (value + 8) >>> 2 };
  const worker = new Worker(HOLDER, { eval: true, workerData });
  try {
    const said: unknown[] = [];
    await new Promise((resolve) => worker.once('message', resolve));
    worker.on('message', (message) => said.push(message));
    fields.release(value);
    assert.equal(peek(memory, value + 8, true), 0);
    await new Promise((resolve) => worker.once('exit', resolve));
    assert.deepEqual(said, [true]);
  } finally {
    await worker.terminate();
    memory.close();
  }
});
