import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyRecord } from '../../test/fixtures.ts';
import { FormatError } from '../errors.ts';
import { BtfBuilder, encodeFuncInfo, encodeLineInfo, readBtfExt } from './index.ts';

const { btf, ext, lines, relos, main } = everyRecord;

function refused(bytes: Uint8Array, message: RegExp): void {
  assert.throws(
    () => readBtfExt(bytes, btf),
    (error: unknown) => error instanceof FormatError && message.test(error.message),
  );
}

test('records come back by the name of their section', () => {
  const { funcInfo, lineInfo, coreRelos } = readBtfExt(ext, btf);
  assert.deepEqual([...funcInfo], [['syscall', [{ insnOffset: 0, type: main }]]]);
  assert.deepEqual([...coreRelos], [['syscall', relos]]);
  const read = lineInfo.get('syscall') ?? [];
  assert.deepEqual(
    read.map(({ insnOffset, fileName, text, line, column }) => ({
      insnOffset,
      fileName,
      text,
      line,
      column,
    })),
    lines,
  );
});

test('at load, offsets are in instructions and strings in the BTF that is loaded', () => {
  const strings = new BtfBuilder();
  const words = (bytes: Uint8Array) => [...new Uint32Array(bytes.buffer)];
  assert.deepEqual(words(encodeFuncInfo([{ insnOffset: 24, type: 5 }])), [3, 5]);
  assert.deepEqual(words(encodeLineInfo(lines.slice(1), strings)), [
    1,
    strings.string('list.c'),
    strings.string('  return "é";'),
    (4 << 10) | 3,
  ]);
});

test('damaged tables are refused with their place', () => {
  refused(ext.subarray(0, 20), /\.BTF\.ext, offset 0: 20 bytes are too few/);
  refused(ext.with(0, 0), /not BTF's magic/);
  refused(ext.with(2, 2), /version 2/);
  refused(ext.with(15, 0x10), /offset 8: a table ends beyond the section/);
  refused(ext.with(32, 4), /offset 32: records of 4 bytes instead of 8/);
  refused(ext.with(43, 1), /records for syscall do not fit/);
});

test('the shorter header of compilers without CO-RE is read', () => {
  const short = new Uint8Array(24);
  short.set(ext.subarray(0, 4));
  short[4] = 24;
  assert.equal(readBtfExt(short, btf).coreRelos.size, 0);
});
