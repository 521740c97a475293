import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import type { BpfMap } from '../../src/kernel.ts';
import { type Bench, onAllEngines, outcome } from './kernels.ts';

/** Array and hash maps, step by step, as user space and programs see them: what Linux 6.18 answered, on both kernels. */

interface Sequence {
  name: string;
  type: number;
  steps: [operation: string, args: string, result: string][];
}

const sequences: Sequence[] = JSON.parse(
  readFileSync(new URL('../../src/embedded/testdata/maps.json', import.meta.url), 'utf8'),
);

const LOOKUP = '*(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 1; if r0 == 0 goto none;';

const PROGRAMS: Readonly<Record<string, string>> = {
  lookup: `${LOOKUP} r0 = *(u64 *)(r0 + 0); exit; none: r0 = -1; exit`,
  update:
    '*(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 16) = r2; r4 = r3; r2 = r10; r2 += -8; r3 = r10; r3 += -16; r1 = MAP 0; call 2; exit',
  delete: '*(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8; r1 = MAP 0; call 3; exit',
  write: `r6 = r2; ${LOOKUP} *(u64 *)(r0 + 0) = r6; r0 = 0; exit; none: r0 = -1; exit`,
};

const toBytes = (value: bigint, size: number) =>
  new Uint8Array(BigUint64Array.of(value).buffer).slice(0, size);
const toHex = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? 'ENOENT' : Buffer.from(bytes).toString('hex');

/** What a user-space operation answers: bytes in hex, `ok` or the errno. */
function asUser(map: BpfMap, operation: string, [key = 0n, value = 0n, flags = 0n]: bigint[]): string {
  const keyBytes = toBytes(key, map.keySize);
  let answer = 'ok';
  const code = outcome(() => {
    if (operation === 'user_lookup') answer = toHex(map.lookup(keyBytes));
    else if (operation === 'user_next') answer = toHex(map.nextKey(keyBytes));
    else if (operation === 'user_first') answer = toHex(map.nextKey());
    else if (operation === 'user_delete') answer = map.delete(keyBytes) ? 'ok' : 'ENOENT';
    else if (operation === 'user_update') map.update(keyBytes, toBytes(value, 8), Number(flags));
    else map.freeze();
  });
  return code === 'ok' ? answer : code;
}

/** What a program gives, or that it was refused for the expected reason. */
function asProgram(bench: Bench, operation: string, args: bigint[], expected: string): string {
  try {
    return `0x${bench.run(PROGRAMS[operation], ...args).toString(16)}`;
  } catch (error) {
    const { message } = error as Error;
    return message.includes(expected.replace(/^refused: /, '')) ? expected : `refused: ${message}`;
  }
}

onAllEngines('maps', (kernel) => {
  for (const { name, steps, ...attributes } of sequences) {
    it(name, () => {
      using bench = kernel.bench([attributes]);
      steps.forEach(([operation, args, result], i) => {
        const numbers = args === '' ? [] : args.split(' ').map(BigInt);
        const answer = operation.startsWith('user_')
          ? asUser(bench.maps[0], operation, numbers)
          : asProgram(bench, operation, numbers, result);
        assert.equal(answer, result, `step ${i}: ${operation}(${args})`);
      });
    });
  }
});
