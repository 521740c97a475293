/**
 * Records what memcached answers to what test/kv/exchanges.json sends, in place: `npm run record:kv`. Each exchange has a
 * connection of its own to an empty cache. A new step has no `receive` yet; all others are recorded anew, too.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXCHANGES, readExchanges, Talk } from '../test/kv/exchanges.ts';
import { argumentsOf } from './arguments.ts';

const USAGE = `usage: npm run record:kv [-- PROGRAM]
  PROGRAM  memcached's path (memcached)`;

/** Silence after which an answer is complete, in milliseconds. */
const IDLE = 60;

const { positionals } = argumentsOf(USAGE, {}, true);
const [program = 'memcached'] = positionals;
const folder = mkdtempSync(join(tmpdir(), 'kv-'));
const path = join(folder, 'socket');
const server = spawn(program, ['-s', path, '-u', 'root', '-m', '128'], { stdio: 'inherit' });
try {
  await Promise.race([once(server, 'spawn'), once(server, 'error').then(([error]) => Promise.reject(error))]);
  await sleep(300);
  const exchanges = readExchanges();
  for (const { name, steps } of exchanges) {
    {
      using talk = new Talk({ path });
      await talk.step({ send: 'flush_all\r\n' }, IDLE);
    }
    using talk = new Talk({ path });
    for (const [index, step] of steps.entries()) steps[index] = await talk.step(step, IDLE);
    process.stderr.write(`${name}\n`);
  }
  writeFileSync(EXCHANGES, `${JSON.stringify(exchanges, null, 1)}\n`);
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
