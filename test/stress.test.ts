import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

it('three CPUs and TypeScript change one table, one map and one allocator, and nothing is lost or left over', () => {
  const script = fileURLToPath(new URL('../tools/stress.ts', import.meta.url));
  const args = [script, '--cpus', '3', '--seconds', '0.3'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /all is as it was counted; nothing is left over/);
});
