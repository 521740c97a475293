import { parentPort } from 'node:worker_threads';
import { RingBuffer } from '../../src/linux/ring-buffer.ts';
import { loadBuffers } from './buffers.ts';

/** A worker that waits for a record that never comes. */

const load = await loadBuffers();
const waiting = new RingBuffer(load.maps.ring).records().next();
parentPort?.postMessage('waiting');
await waiting;
