import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** tools/kv-stress.ts for a moment. `npm run stress:kv` runs as long as is wanted, also on Linux. */

function stress(...args: string[]): void {
  const script = fileURLToPath(new URL('../tools/kv-stress.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /each answer was right, and nothing is left over/);
}

it('two CPUs use one store at once, and no answer is wrong, nothing lost, no page too many', () => {
  stress('--operations', '60000', '--cpus', '2');
});

it('nothing is lost where loops end all the time', () => {
  stress('--operations', '15000', '--cpus', '2', '--loop-budget', '64', '--only', 'ample');
});
