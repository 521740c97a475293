import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { mutate } from '../../../test/mutate.ts';
import { BpfError, FormatError } from '../../errors.ts';
import { functionOffset } from './executable.ts';

/** Functions by name in ELF files; a BPF object is one, too. */

const OBJECT = new URL('../../../programs/arena_list.bpf.o', import.meta.url);
const BYTES = readFileSync(OBJECT);
const folder = mkdtempSync(join(tmpdir(), 'bpf-arena-'));
const path = join(folder, 'file');
after(() => rmSync(folder, { recursive: true }));

test('a function is where its code is', () => {
  const offset = functionOffset(OBJECT.pathname, 'arena_list_add');
  // The first function of the section "syscall": its first instruction is no zeroes, and eight bytes long.
  assert.equal(offset % 8, 0);
  assert.notEqual(BYTES[offset], 0);
});

test('what is no function is not found', () => {
  for (const name of ['cnt', 'arena_list', 'arena_list_add2', ''])
    assert.throws(() => functionOffset(OBJECT.pathname, name), { code: 'ENOENT' });
});

test('a damaged file is refused, or read within its bounds', () => {
  const seed = 20261126;
  let refused = 0;
  for (let i = 0; i < 1500; i++) {
    writeFileSync(path, mutate(BYTES, seed + i));
    try {
      const offset = functionOffset(path, 'arena_list_add');
      assert.ok(offset >= 0 && offset < BYTES.length, `seed ${seed + i}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.ok(error instanceof FormatError || error instanceof BpfError, `seed ${seed + i}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 50, `${refused} of 1500 were refused`);
});

test('a file that is cut off is refused', () => {
  for (let length = 0; length < 64; length++) {
    writeFileSync(path, BYTES.subarray(0, length));
    assert.throws(() => functionOffset(path, 'arena_list_add'), FormatError);
  }
});
