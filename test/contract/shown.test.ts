import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inspect } from 'node:util';
import { assembleObject, open } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** What console.log shows. */

const TEXT = `
.license "GPL"
.map arena, type=arena, max_entries=100, map_flags=0x400
.map m, type=hash, key_size=4, value_size=8, max_entries=3
.section syscall
.func p : s32 (void *ctx)
        r1 = arena ll
        r1 = m ll
        r0 = 0
        exit
`;
const REFUSED = `
.section syscall
.func refused : s32 (void *ctx)
${'        r1 = 0\n'.repeat(20)}        exit
`;

onBothKernels('console.log shows, in a few lines,', (contract) => {
  it('a kernel, an object, a program, a map, an arena, a prepared run', async () => {
    using kernel = contract.open();
    const object = await open(assembleObject(TEXT, 'shown.bpfasm'));
    using loaded = await object.load(kernel);
    const { p } = loaded.programs;
    using prepared = p.prepare({ ctx: { size: 4 } });
    const shown: [object, RegExp][] = [
      [kernel, /^\w+Kernel \{ name: '(embedded|linux)'/],
      [object, /programs: \[ 'p, SEC\("syscall"\)' \],\s+maps: \[ 'arena', 'm' \]/],
      [p, /^\w+Program \{\s+name: 'p',\s+type: 'syscall',\s+section: 'syscall',\s+insnCount: \d/],
      [loaded.maps.m, /^\w+ \{ name: 'm', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 3 \}$/],
      [loaded.arena as object, /name: 'arena',\s+type: 'arena',\s+userVmStart: '0x[0-9a-f]+',\s+pages: 100/],
      [
        prepared,
        /^\w+ \{\s+ctx: .*\[ 0, 0, 0, 0 \],\s+faults: \[\] \}$|^\w+ \{ ctx: .*\[ 0, 0, 0, 0 \], faults: \[\] \}$/,
      ],
    ];
    for (const [what, text] of shown) {
      assert.match(inspect(what), text);
      assert.ok(inspect(what).split('\n').length < 15, inspect(what));
    }
    prepared.close();
    assert.match(inspect(prepared), /^\w+PreparedRun \[the prepared run of program 'p' is closed\]$/);
  });

  it("a refusal with its errno, what it means, and the log's end", async () => {
    using kernel = contract.open({ logLevel: 2 });
    const object = await open(assembleObject(REFUSED, 'refused.bpfasm'));
    const error = await object.load(kernel).catch((refusal) => refusal);
    const text = inspect(error);
    assert.match(text, /^VerifierError \[EACCES\]: program 'refused'.*R0 !read_ok\n {4}at /);
    for (const line of error.explanation) assert.ok(text.includes(`\n  ${line}\n`), line);
    assert.match(text, /\n {2}log(, the last 12 of \d+ lines)?:\n/);
    assert.ok(text.split('\n').length < 40, text);
  });
});
