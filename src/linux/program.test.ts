import assert from 'node:assert/strict';
import { it } from 'node:test';
import { onLinux } from '../../test/contract/kernels.ts';
import { BtfBuilder } from '../btf/index.ts';
import { assembleObject, type BpfError, open, VerifierError } from '../index.ts';
import { parseObject } from '../object/object.ts';
import { loadBtf } from './bpf.ts';
import { Fd } from './fd.ts';
import { linux, linuxFeatures } from './index.ts';
import { sanitize } from './object-btf.ts';
import { BTF_FEATURES } from './probes.ts';

/** Programs in Linux: how they are run, how a refusal is told, and what the kernel has. */

/** An object with one program. */
const objectOf = (section: string, ...lines: string[]) =>
  assembleObject(
    ['.license "GPL"', `.section ${section}`, '.func program : s32 (void *ctx)', ...lines].join('\n'),
    'program.bpfasm',
  );

async function rejected(bytes: Uint8Array): Promise<VerifierError> {
  using kernel = linux();
  const object = await open(bytes);
  const error = await object.load(kernel).then(
    () => undefined,
    (reason) => reason,
  );
  assert.ok(error instanceof VerifierError, String(error));
  return error;
}

onLinux('running', () => {
  it('an XDP program sees a packet, and gives what it made of it', async () => {
    using kernel = linux();
    const bytes = objectOf(
      'xdp',
      'r2 = *(u32 *)(r1 + 0)',
      'r3 = *(u32 *)(r1 + 4)',
      'r4 = r2',
      'r4 += 14',
      'r0 = 1',
      'if r4 > r3 goto short',
      '*(u8 *)(r2 + 0) = 0x42',
      'r0 = 2',
      'short: exit',
    );
    using loaded = await (await open(bytes)).load(kernel);
    const { retval, dataOut, durationNs } = loaded.programs.program.run({
      data: new Uint8Array(64),
      repeat: 100,
    });
    assert.deepEqual([retval, dataOut?.length, dataOut?.[0]], [2, 64, 0x42]);
    assert.ok(durationNs < 1e6);
  });

  it('on the CPU that is asked for, and afterwards where it was allowed before', async () => {
    using kernel = linux();
    const bytes = objectOf('syscall', 'call 8', 'exit');
    using loaded = await (await open(bytes)).load(kernel);
    const { program } = loaded.programs;
    assert.equal(program.run({ cpu: 1 }).retval, 1);
    assert.equal(program.run({ cpu: 0 }).retval, 0);
    assert.throws(() => program.run({ cpu: 1000 }), { code: 'EINVAL' });
    const raw = objectOf('raw_tp/sys_enter', 'call 8', 'exit');
    using tracing = await (await open(raw)).load(kernel);
    assert.equal(tracing.programs.program.run({ cpu: 1 }).retval, 1);
  });

  it('of a type that Linux cannot test-run: ENOTSUPP, and what to do', async () => {
    using kernel = linux();
    using loaded = await (await open(objectOf('perf_event', 'r0 = 0', 'exit'))).load(kernel);
    assert.throws(() => loaded.programs.program.run(), { code: 'ENOTSUPP', message: /attach it$/ });
  });

  it('a program for a BTF tracepoint is verified against its type; for one that is not there: ESRCH', async () => {
    using kernel = linux();
    const body = ['r1 = *(u64 *)(r1 + 8)', 'r0 = 0', 'exit'];
    using loaded = await (await open(objectOf('tp_btf/sys_enter', ...body))).load(kernel);
    assert.equal(loaded.programs.program.type, 'tracing');
    const absent = await open(objectOf('tp_btf/no_such', ...body));
    await assert.rejects(absent.load(kernel), { code: 'ESRCH' });
  });
});

onLinux('a program that the verifier refuses', () => {
  it('is told by its last line, the instruction and the source line; the log has all', async () => {
    const error = await rejected(objectOf('syscall', 'r0 = 0', 'r0 = *(u64 *)(r2 + 0)', 'exit'));
    assert.equal(error.code, 'EACCES');
    assert.equal(error.problem, 'R2 !read_ok');
    assert.equal(error.insn, 1);
    const where = 'instruction 1 (program.bpfasm:5: r0 = *(u64 *)(r2 + 0))';
    assert.equal(error.message, `program 'program', ${where}: R2 !read_ok`);
    assert.match(error.log, /; r0 = \*\(u64 \*\)\(r2 \+ 0\) @ program\.bpfasm:5/);
    assert.match(error.log, /processed 2 insns/);
  });

  it('a log of more than 16 MiB arrives whole', async () => {
    // Each turn of the loop is four more lines of the log.
    const loop = ['r6 = 0', 'again: r6 += 1', 'r7 = r6', 'r7 *= 3', 'if r6 != 80000 goto again'];
    const error = await rejected(objectOf('syscall', ...loop, 'r0 = r2', 'exit'));
    assert.equal(error.problem, 'R2 !read_ok');
    assert.ok(error.log.length > 2 ** 24, `${error.log.length}`);
    assert.match(error.log.slice(0, 1000), /^0: R1=ctx\(\)/m);
  });

  it('a section that says no type: what to do, before anything is made', async () => {
    using kernel = linux();
    const object = await open(objectOf('nonsense', 'r0 = 0', 'exit'));
    await assert.rejects(object.load(kernel), {
      code: 'EINVAL',
      message: /missing BPF prog type, check ELF section name/,
    });
  });
});

onLinux('type information', () => {
  it('is loaded in the form of a kernel that knows no kinds but the oldest', async () => {
    const builder = new BtfBuilder();
    const int = builder.int('int', 4);
    builder.func('f', int, [{ name: 'x', type: builder.ptr(builder.typeTag('tag', int)) }]);
    builder.add({ kind: 'float', name: 'double', size: 8 });
    builder.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values: [{ name: 'E', value: 1n }] });
    const variable = builder.add({ kind: 'var', name: 'x', type: int, linkage: 'global' });
    const variables = [{ type: variable, offset: 0, size: 4 }];
    builder.add({ kind: 'datasec', name: '.data', size: 4, variables });
    builder.declTag('tag', variable);
    const before = builder.count;
    sanitize(builder, new Set(BTF_FEATURES));
    const kinds = new Set(Array.from({ length: before }, (_, id) => builder.type(id).kind));
    for (const kind of [
      'func',
      'func_proto',
      'float',
      'enum64',
      'var',
      'datasec',
      'decl_tag',
      'type_tag',
    ] as const)
      assert.ok(!kinds.has(kind), kind);
    const loaded = loadBtf(builder.write());
    assert.ok(loaded instanceof Fd, JSON.stringify(loaded));
    loaded.close();
  });

  it('of every declaration that an object can hold, the kernel takes', () => {
    const text = [
      '.license "GPL"',
      '.extern weak kfunc absent : u64 (u32)',
      '.extern weak ksym absent_variable',
      '.extern weak kconfig CONFIG_HZ : u64',
      '.data',
      '.var b : u32 = 1',
      '.var static a : u64 = 2',
      '.section syscall',
      '.func program : s32 (void *ctx)',
      'r1 = CONFIG_HZ ll',
      'r2 = absent_variable ll',
      'call absent',
      'r0 = 0',
      'exit',
    ];
    const builder = parseObject(assembleObject(text.join('\n'), 'all.bpfasm')).loadableBtf();
    const loaded = loadBtf(builder?.write() ?? new Uint8Array());
    assert.ok(loaded instanceof Fd, JSON.stringify(loaded));
    loaded.close();
  });
});

onLinux('the kernel', () => {
  it('has what FACTS say it has', () => {
    const { programTypes, mapTypes, helpers, kfuncs } = linuxFeatures();
    for (const type of ['syscall', 'xdp', 'socket_filter']) assert.ok(programTypes.includes(type), type);
    for (const type of ['arena', 'hash', 'ringbuf', 'sk_storage', 'hash_of_maps'])
      assert.ok(mapTypes.includes(type), type);
    assert.deepEqual(helpers[0], { id: 1, name: 'bpf_map_lookup_elem' });
    for (const name of ['bpf_arena_alloc_pages', 'bpf_arena_free_pages'])
      assert.ok(kfuncs.includes(name), name);
  });

  it('once a program is closed it cannot be run: EBADF', async () => {
    using kernel = linux();
    const loaded = await (await open(objectOf('syscall', 'r0 = 0', 'exit'))).load(kernel);
    loaded.close();
    assert.throws(
      () => loaded.programs.program.run(),
      (error) => (error as BpfError).code === 'EBADF',
    );
  });
});
