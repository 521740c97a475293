/**
 * No object, however broken, makes the readers hang, exhaust memory or throw anything but a FormatError. What is damaged
 * is built here, so that the test runs where no clang is.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Btf, CoreResolver, printC, printTs, readBtfExt, toJson } from '../src/btf/index.ts';
import { readElf } from '../src/elf/index.ts';
import { FormatError } from '../src/errors.ts';
import { everyKind, everyRecord, object } from './fixtures.ts';
import { mutate } from './mutate.ts';

const ROUNDS = 4000;
const LONGEST_MS = 20_000;

/** Runs `use` on damaged copies of `bytes`; gives how many were read to the end. */
function survive(bytes: Uint8Array, use: (damaged: Uint8Array) => void): number {
  let read = 0;
  for (let seed = 0; seed < ROUNDS; seed++) {
    const started = performance.now();
    try {
      use(mutate(bytes, seed));
      read++;
    } catch (error) {
      if (!(error instanceof FormatError)) throw new Error(`seed ${seed}`, { cause: error });
      assert.ok(error.section !== '' && Number.isSafeInteger(error.offset), `seed ${seed}: ${error.message}`);
    }
    const took = performance.now() - started;
    assert.ok(took < LONGEST_MS, `seed ${seed} took ${took} ms`);
  }
  return read;
}

/** Both outcomes must occur often: else the test looks at nothing. */
function assertMixed(read: number): void {
  assert.ok(read > ROUNDS / 100 && read < ROUNDS * 0.99, `${read} of ${ROUNDS} were read`);
}

/** Carries on after a FormatError: one damaged type must not hide what the others do. */
function attempt(use: () => void): void {
  try {
    use();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}

function useEverything(btf: Btf): void {
  for (let id = 0; id < btf.count; id++) {
    for (const use of [
      () => btf.type(id),
      () => btf.sizeOf(id),
      () => btf.alignOf(id),
      () => btf.resolve(id),
      () => btf.idOf(btf.nameOf(id)),
      () => btf.declTags(id),
    ]) {
      attempt(use);
    }
  }
  attempt(() => printTs(btf));
  attempt(() => toJson(btf));
  printC(btf);
}

test('a damaged ELF file is read or refused with a FormatError', () => {
  assertMixed(survive(object, (bytes) => void readElf(bytes)));
});

test('damaged BTF is read, walked and printed, or refused with a FormatError', () => {
  const { bytes } = everyKind;
  assertMixed(survive(bytes, (damaged) => useEverything(Btf.read(damaged))));
});

test('a damaged .BTF.ext is read or refused with a FormatError', () => {
  const { btf, ext } = everyRecord;
  const use = (damaged: Uint8Array): void => {
    const { lineInfo } = readBtfExt(damaged, btf);
    for (const lines of lineInfo.values()) for (const line of lines) void `${line.fileName}${line.text}`;
  };
  assertMixed(survive(ext, use));
});

test('CO-RE against damaged types of the target gives a result or a FormatError', () => {
  const { btf, ext } = everyRecord;
  const relos = [...readBtfExt(ext, btf).coreRelos.values()].flat();
  const use = (damaged: Uint8Array): void => {
    const resolver = new CoreResolver(btf, Btf.read(damaged));
    for (const relo of relos) attempt(() => resolver.resolve(relo));
  };
  assertMixed(survive(everyKind.bytes, use));
});
