import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, BpfError, open, VerifierError } from '../../src/index.ts';
import { onBothKernels } from './kernels.ts';

/** Loading, running, globals and errors: what a user of the API sees is the same on both kernels. */

const TEXT = `
.license "GPL"
.map counts, type=hash, key=u32, value=u64, max_entries=4
.map arena, type=arena, max_entries=16, map_flags=0x400, map_extra=0x200000000000
.extern weak kfunc no_such_kfunc : u64 (u32 a)
.extern kconfig LINUX_KERNEL_VERSION : u32

.section .addr_space.1
.var shared : u64 = 5
.data
.var step : u64 = 3
.rodata
.var fixed : u32 = 11
.bss
.var seen : u64
.var where : u64

.section syscall
.func add : s32 (void *ctx)
        r6 = r1
        r1 = step ll
        r1 = *(u64 *)(r1 + 0)
        r2 = seen ll
        r3 = *(u64 *)(r2 + 0)
        r3 += r1
        *(u64 *)(r2 + 0) = r3
        r2 = shared ll
        r4 = where ll
        *(u64 *)(r4 + 0) = r2
        r2 = addr_space_cast(r2, 0, 1)
        r4 = *(u64 *)(r2 + 0)
        r4 += r3
        *(u64 *)(r2 + 0) = r4
        r0 = fixed ll
        r0 = *(u32 *)(r0 + 0)
        r2 = LINUX_KERNEL_VERSION ll
        r2 = *(u32 *)(r2 + 0)
        if r2 > 0x60000 goto done
        r0 = 0
done:   exit

.func twice : s32 (void *ctx)
        r2 = *(u32 *)(r1 + 0)
        r2 <<= 1
        *(u32 *)(r1 + 0) = r2
        r0 = -1
        exit

.func fallback : s32 (void *ctx)
        r1 = no_such_kfunc ll
        r0 = 7
        if r1 == 0 goto absent
        call no_such_kfunc
absent: exit
`;

const OBJECT = assembleObject(TEXT, 'contract.bpfasm');
const REFUSED = assembleObject(
  `.license "GPL"
.section syscall
.func loops : s32 (void *ctx)
        r0 = 0
        goto nowhere
        r0 = 1
nowhere:
        exit
`,
  'refused.bpfasm',
);

onBothKernels('a loaded object', (kernel) => {
  it('globals set before load are there, and those set after load are seen by the next run', async () => {
    const object = await open(OBJECT);
    object.globals.step = 10n;
    object.globals.shared = 1n;
    using opened = kernel.open();
    using loaded = await object.load(opened);
    assert.equal(loaded.programs.add.run().retval, 11);
    assert.deepEqual([loaded.globals.seen, loaded.globals.shared], [10n, 11n]);
    loaded.globals.step = 1n;
    loaded.globals.shared = 0n;
    loaded.programs.add.run();
    assert.deepEqual([loaded.globals.seen, loaded.globals.shared], [11n, 11n]);
  });

  it('the problem of a program that goes around for ever is that, not what the verifier shows of it', async () => {
    const text =
      '.license "GPL"\n.section syscall\n.func main : s32 (void *ctx)\nr0 = 0\nagain: if r0 == 0 goto again\nexit';
    using opened = kernel.open();
    await assert.rejects(
      open(assembleObject(text)).then((object) => object.load(opened)),
      {
        problem: 'infinite loop detected at insn 1',
      },
    );
  });

  it('arena globals of several pages begin with their bytes, wherever those lie', async () => {
    const text = `.map arena, type=arena, max_entries=16, map_flags=0x400, map_extra=0x200000000000
.section .addr_space.1
.var zeroes : u8[4095]
.var end_of_page : u8 = 7
.var more : u8[8190]
.var across : u64 = 0x0807060504030201
.var tail : u8[5] = 0, 0, 0, 0, 9`;
    using opened = kernel.open();
    using loaded = await (await open(assembleObject(text))).load(opened);
    const { zeroes, end_of_page, more, across, tail } = loaded.globals;
    assert.deepEqual([end_of_page, across, [...tail]], [7, 0x0807060504030201n, [0, 0, 0, 0, 9]]);
    assert.ok([...zeroes, ...more].every((byte) => byte === 0));
  });

  it('a pointer to a global in the arena is its user address, which leads back to it', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    loaded.programs.add.run();
    const { arena } = loaded;
    assert.ok(arena);
    const offset = arena.offsetOf(loaded.globals.where);
    arena.memory.touch(offset, 8, false);
    assert.equal(arena.memory.view.getBigUint64(offset, true), loaded.globals.shared);
    assert.equal(loaded.globals.where >> 32n, 0x2000n);
  });

  it('read-only globals are read-only: EPERM', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    assert.throws(
      () => {
        loaded.globals.fixed = 1;
      },
      { code: 'EPERM' },
    );
    assert.equal(loaded.globals.fixed, 11);
  });

  it('a syscall program changes a copy of its context, and its result has 32 bits', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    const ctx = Uint8Array.of(21, 0, 0, 0);
    const { retval, ctxOut } = loaded.programs.twice.run({ ctx });
    assert.deepEqual([retval, ctxOut?.[0], ctx[0]], [0xffff_ffff, 42, 21]);
  });

  it('repeat runs it so often', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    loaded.programs.add.run({ repeat: 5 });
    assert.equal(loaded.globals.seen, 15n);
    assert.throws(() => loaded.programs.add.run({ repeat: 0 }), { code: 'EINVAL' });
  });

  it('a context of more than 65,535 bytes: EINVAL', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    assert.throws(() => loaded.programs.twice.run({ ctx: new Uint8Array(65_536) }), { code: 'EINVAL' });
  });

  it('a weak kfunc that is not there reads as 0', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    assert.equal(loaded.programs.fallback.run().retval, 7);
  });

  it('maps by name, with the sizes declared', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    const { counts } = loaded.maps;
    assert.deepEqual([counts.type, counts.keySize, counts.valueSize, counts.maxEntries], [1, 4, 8, 4]);
    counts.update(Uint8Array.of(1, 0, 0, 0), new Uint8Array(8));
    assert.equal([...counts.keys()].length, 1);
    assert.throws(() => counts.update(new Uint8Array(3), new Uint8Array(8)), { code: 'EINVAL' });
  });

  it('what the kernel has after verification has functions and source lines', async () => {
    using opened = kernel.open();
    using loaded = await (await open(OBJECT)).load(opened);
    const { xlated, insnCount } = loaded.programs.twice;
    assert.equal(xlated.insns.length, insnCount);
    assert.deepEqual(
      xlated.subprograms.map(({ name }) => name),
      ['twice'],
    );
    assert.match(xlated.sourceAt(0)?.text ?? '', /r2 = \*\(u32 \*\)\(r1 \+ 0\)/);
  });

  it('once closed, programs, maps and globals throw EBADF', async () => {
    using opened = kernel.open();
    const loaded = await (await open(OBJECT)).load(opened);
    const { programs, maps, globals } = loaded;
    loaded.close();
    loaded.close();
    assert.throws(() => programs.add.run(), { code: 'EBADF' });
    assert.throws(() => maps.counts.lookup(new Uint8Array(4)), { code: 'EBADF' });
    assert.throws(() => globals.seen, { code: 'EBADF' });
    assert.throws(() => globals.shared, { code: 'EBADF' });
  });

  it('a closed kernel loads nothing: EBADF', async () => {
    const opened = kernel.open();
    opened.close();
    await assert.rejects(async () => (await open(OBJECT)).load(opened), { code: 'EBADF' });
  });

  it('a program that is refused: the message ends with the last line of its log, and names the program', async () => {
    using opened = kernel.open();
    await assert.rejects(
      async () => (await open(REFUSED)).load(opened),
      (error) => {
        assert.ok(error instanceof VerifierError);
        assert.equal(error.code, 'EINVAL');
        assert.match(error.message, /^program 'loops'.*: unreachable insn 2$/);
        assert.ok(error.log.includes(error.problem));
        return true;
      },
    );
  });

  it('a map that cannot be: EINVAL', async () => {
    using opened = kernel.open();
    const object = await open(OBJECT);
    object.maps.counts.keySize = 0;
    await assert.rejects(
      object.load(opened),
      (error) => error instanceof BpfError && error.code === 'EINVAL',
    );
  });
});
