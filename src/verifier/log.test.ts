import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LEVEL_1, Log } from './log.ts';

it('a log is cut back to a place, and a line that got longer there ends without its newline', () => {
  const log = new Log(LEVEL_1);
  log.say('first');
  log.write('1: jump\n');
  const mark = log.mark();
  log.write(`${log.unwrite().trimEnd()} ; R1=2\n`);
  log.say('beyond');
  log.cutToMark(mark);
  log.say('after');
  assert.equal(log.text, 'first\n1: jump after\n');
});

it('a log that is too long keeps its end, and places in what is gone are its beginning', () => {
  const log = new Log(LEVEL_1);
  const mark = log.mark();
  const line = 'x'.repeat(2 ** 20);
  for (let i = 0; i < 200; i++) log.say(`${i} ${line}`);
  log.say('the end');
  assert.ok(log.text.length <= 2 ** 27);
  assert.match(log.text.slice(-20), /\nthe end\n$/);
  log.cutToMark(mark);
  assert.equal(log.text, '');
});
