import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Grace } from './grace.ts';

/** Two CPUs, each with what its thread knows of the same words. */
function twoCpus(): { cpus: Grace[]; released: string[]; giveUp: (cpu: number, what: string) => void } {
  const words = new Int32Array(new SharedArrayBuffer(4 * Grace.words(2)));
  const cpus = [0, 1].map(() => {
    const grace = new Grace(words);
    grace.cpus = 2;
    return grace;
  });
  const released: string[] = [];
  return { cpus, released, giveUp: (cpu, what) => cpus[cpu].afterwards(() => released.push(what)) };
}

it('what is given up while nothing runs is released at once', () => {
  const { released, giveUp } = twoCpus();
  giveUp(0, 'a');
  giveUp(1, 'b');
  assert.deepEqual(released, ['a', 'b']);
});

it('what is given up is released when all have ended that ran then, whatever has begun since', () => {
  const { cpus, released, giveUp } = twoCpus();
  const [zero, one] = cpus;
  zero.enter(0);
  one.enter(1);
  giveUp(0, 'a');
  giveUp(0, 'b');
  zero.leave(0);
  assert.deepEqual(released, [], 'the other one may see it');
  zero.enter(0);
  giveUp(0, 'c');
  one.leave(1);
  one.enter(1);
  zero.leave(0);
  assert.deepEqual(released, ['a'], 'the other one, which runs anew, may see what was given up last');
  one.leave(1);
  zero.enter(0);
  zero.leave(0);
  assert.deepEqual(released, ['a', 'b', 'c']);
});

it('what is given up by what is released waits for its own time', () => {
  const { cpus, released, giveUp } = twoCpus();
  const [zero, one] = cpus;
  zero.enter(0);
  zero.afterwards(() => giveUp(0, 'inner'));
  one.enter(1);
  zero.leave(0);
  assert.deepEqual(released, []);
  one.leave(1);
  zero.enter(0);
  zero.leave(0);
  assert.deepEqual(released, ['inner']);
});

it('a CPU whose thread died in a run keeps nothing, once that is known', () => {
  const { cpus, released, giveUp } = twoCpus();
  const [zero, one] = cpus;
  one.enter(1);
  giveUp(0, 'a');
  zero.died(1);
  zero.died(1);
  assert.deepEqual(released, []);
  giveUp(0, 'b');
  assert.deepEqual(released, ['a', 'b']);
});

it('a CPU whose thread died in a run keeps nothing for good, once it runs again', () => {
  const { cpus, released, giveUp } = twoCpus();
  const [zero, one] = cpus;
  one.enter(1);
  giveUp(0, 'a');
  assert.deepEqual(released, []);
  one.enter(1);
  zero.enter(0);
  zero.leave(0);
  assert.deepEqual(released, ['a']);
});
