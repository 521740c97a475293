import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { compareObject } from '../fuzz/engines/objects.ts';
import { BpfError } from '../src/errors.ts';
import { argumentsOf, readFile } from './arguments.ts';
import { compile, missing, sourcesWith, unpack } from './selftests/sources.ts';

/**
 * `npm run compare:engines`: every program that the embedded kernel can run, of given objects, on the interpreter and on the
 * JIT, with faults reported and not. Needs Linux only for the selftests' types.
 */

const USAGE = `usage: npm run compare:engines -- [--list] [OBJECT... | --selftests [PREFIX...]]
  OBJECT       objects; those of programs/ by default
  --selftests  the kernel's own, whose names begin so; all by default
  --list       names the programs that were not run, and why`;

const { values, positionals } = argumentsOf(
  USAGE,
  { list: { type: 'boolean' }, selftests: { type: 'boolean' } },
  true,
);

function* objects(): Generator<string> {
  if (!values.selftests) {
    const folder = new URL('../programs/', import.meta.url).pathname;
    const own = readdirSync(folder).filter((name) => name.endsWith('.bpf.o'));
    yield* positionals.length > 0 ? positionals : own.map((name) => folder + name);
    return;
  }
  const problem = missing();
  if (problem !== undefined) {
    console.error(`compare:engines: ${problem}`);
    process.exit(2);
  }
  unpack();
  for (const source of sourcesWith(positionals)) {
    const path = compile(source);
    if (path !== undefined) yield path;
  }
}

const totals = { compared: 0, skipped: 0, differences: 0 };
for (const path of objects()) {
  const name = basename(path).replace(/(\.bpf)?\.o$/, '');
  for (const faults of ['off', 'report'] as const) {
    try {
      const { compared, skipped, difference } = await compareObject(
        readFile(USAGE, path),
        name,
        { faults },
        values.selftests,
      );
      totals.compared += compared.length;
      totals.skipped += skipped.size;
      if (values.list)
        for (const [program, why] of skipped) console.log(`not run: ${name} ${program}: ${why}`);
      if (compared.length > 0 && faults === 'off') console.log(`${name}: ${compared.length} programs run`);
      if (difference === undefined) continue;
      totals.differences++;
      console.log(`DIFFERS  ${name} ${difference.program}, faults ${faults}: ${difference.what}`);
    } catch (error) {
      if (!(error instanceof BpfError)) throw new Error(name, { cause: error });
      if (faults === 'report') continue;
      if (values.list || !values.selftests) console.log(`not opened: ${name}: ${error.message}`);
      if (!values.selftests) process.exitCode = 1;
    }
  }
}
console.log(`${totals.compared} runs compared, ${totals.skipped} not; ${totals.differences} differences`);
if (totals.differences > 0) process.exitCode = 1;
