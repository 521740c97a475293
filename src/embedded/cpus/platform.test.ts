import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startThread } from './platform.ts';

const EVENTS = { message: () => {}, died: () => {} };

it('where threads cannot share memory it is said what is missing: workers, or isolation', () => {
  assert.throws(() => startThread('CPU 1', EVENTS), {
    code: 'EOPNOTSUPP',
    message: /there are no workers here/,
  });
  const page = { Worker: class {}, crossOriginIsolated: false };
  Object.assign(globalThis, page);
  try {
    assert.throws(() => startThread('CPU 1', EVENTS), {
      code: 'EOPNOTSUPP',
      message: /cross-origin isolated: serve it with Cross-Origin-Opener-Policy/,
    });
  } finally {
    for (const name of Object.keys(page)) Reflect.deleteProperty(globalThis, name);
  }
});

it('a worker has the script beside this one, or the one that is given', () => {
  const made: string[] = [];
  class Worker {
    constructor(script: string | URL) {
      made.push(String(script));
    }
  }
  Object.assign(globalThis, { Worker });
  try {
    startThread('CPU 1', EVENTS);
    startThread('CPU 1', EVENTS, 'https://here/worker.js');
  } finally {
    Reflect.deleteProperty(globalThis, 'Worker');
  }
  assert.deepEqual(made, [new URL('./web-worker.js', import.meta.url).href, 'https://here/worker.js']);
});
