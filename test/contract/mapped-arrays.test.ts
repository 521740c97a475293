import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleObject, MAP_TYPES, open } from '../../src/index.ts';
import { onAllEngines, outcome } from './kernels.ts';

/** Arrays whose memory user space shares with programs, on both kernels. */

const [RDONLY, WRONLY, RDONLY_PROG, WRONLY_PROG, MMAPABLE] = [1 << 3, 1 << 4, 1 << 7, 1 << 8, 1 << 10];
const ELEMENT =
  '*(u32 *)(r10 - 4) = r1; r6 = r2; r2 = r10; r2 += -4; r1 = MAP 0; call 1; if r0 == 0 goto none;';
const ADD = `${ELEMENT} r1 = *(u64 *)(r0 + 0); r1 += r6; *(u64 *)(r0 + 0) = r1; r0 = r1; exit; none: r0 = -1; exit`;
const key = (index: number) => new Uint8Array(Uint32Array.of(index).buffer);
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);

const OBJECT = `.license "GPL"
.types "struct point { int x; short y; char name[8]; };"
.map points, type=array, key=u32, value=struct point, max_entries=300, map_flags=1024
.map numbers, type=array, key=u32, value=u32, max_entries=4, map_flags=1024
.map bytes, type=array, key_size=4, value_size=8, max_entries=4, map_flags=1024
.section syscall
.func f : s32 (void *ctx)
        r1 = 299
        *(u32 *)(r10 - 4) = r1
        r2 = r10
        r2 += -4
        r1 = points ll
        call bpf_map_lookup_elem
        if r0 == 0 goto none
        r1 = *(u32 *)(r0 + 0)
        r1 += 1
        *(u32 *)(r0 + 0) = r1
        r0 = r1
none:   exit
`;

onAllEngines('mapped arrays', (kernel) => {
  const array = (settings: object = {}) =>
    kernel.bench([{ type: MAP_TYPES.array, maxEntries: 1000, flags: MMAPABLE, ...settings }]);

  it('what user space writes into the memory programs read, and the other way round', () => {
    using bench = array();
    const [map] = bench.maps;
    using mapped = map.mmap();
    const numbers = new BigUint64Array(mapped.bytes.buffer, mapped.bytes.byteOffset, mapped.length);
    numbers[999] = 40n;
    assert.equal(bench.run(ADD, 999, 2), 42n);
    assert.equal(numbers[999], 42n);
    assert.deepEqual(map.lookup(key(999)), u64(42n));
    map.update(key(0), u64(7n));
    assert.equal(numbers[0], 7n);
  });

  it('elements are a multiple of 8 bytes apart, of which their value has the first', () => {
    using bench = array({ valueSize: 5, maxEntries: 3 });
    const [map] = bench.maps;
    using mapped = map.mmap();
    assert.deepEqual([mapped.length, mapped.stride, mapped.bytes.length], [3, 8, 24]);
    map.update(key(2), Uint8Array.of(1, 2, 3, 4, 5));
    assert.deepEqual([...mapped.element(2)], [1, 2, 3, 4, 5]);
    mapped.element(1).fill(9);
    assert.deepEqual([...(map.lookup(key(1)) ?? [])], [9, 9, 9, 9, 9]);
    for (const index of [-1, 3, 0.5])
      assert.equal(
        outcome(() => mapped.element(index)),
        'ERANGE',
      );
  });

  it('there may be several mappings, which show the same', () => {
    using bench = array();
    using first = bench.maps[0].mmap();
    using second = bench.maps[0].mmap();
    first.bytes[17] = 5;
    assert.equal(second.bytes[17], 5);
  });

  it('an array that is mapped cannot be frozen, and one that is frozen cannot be mapped', () => {
    using bench = array();
    const [map] = bench.maps;
    const mapped = map.mmap();
    assert.equal(
      outcome(() => map.freeze()),
      'EBUSY',
    );
    mapped.close();
    mapped.close();
    assert.equal(
      outcome(() => map.freeze()),
      'ok',
    );
    assert.equal(
      outcome(() => map.mmap()),
      'EPERM',
    );
  });

  it('only arrays with the flag are mapped, and only where both sides may write', () => {
    const mapping = (settings: object) => {
      using bench = array(settings);
      return outcome(() => bench.maps[0].mmap().close());
    };
    const flags = [0, RDONLY, WRONLY, RDONLY_PROG, WRONLY_PROG];
    assert.deepEqual(
      flags.map((flag) => mapping({ flags: flag })),
      ['EINVAL', 'EACCES', 'EACCES', 'EACCES', 'EINVAL'],
    );
    assert.deepEqual(
      flags.map((flag) => mapping({ flags: flag | MMAPABLE })),
      ['ok', 'EACCES', 'EACCES', 'EACCES', 'ok'],
    );
    for (const type of [MAP_TYPES.hash, MAP_TYPES.percpu_array])
      assert.equal(mapping({ type, flags: 0, maxEntries: 4 }), 'ENOTSUPP');
  });

  it('a mapping that is closed, or whose map is, is refused', () => {
    using bench = array();
    const [map] = bench.maps;
    const mapped = map.mmap();
    map.close();
    mapped.bytes[0] = 1;
    mapped.close();
    assert.equal(
      outcome(() => mapped.bytes),
      'EBADF',
    );
    assert.equal(
      outcome(() => map.mmap()),
      'EBADF',
    );
  });

  it('typed elements are read and written in place', async () => {
    using running = kernel.open();
    using loaded = await (await open(assembleObject(OBJECT, 'mapped'))).load(running);
    const { points, numbers, bytes } = loaded.typedMaps;
    using mapped = points.mmap();
    const last = mapped.at(299) as { x: number; y: number; name: string };
    last.x = 41;
    assert.equal(loaded.programs.f.run().retval, 42);
    assert.equal(last.x, 42);
    mapped.set(299, { x: 1, name: 'here' });
    assert.equal(loaded.programs.f.run().retval, 2);
    assert.deepEqual(points.get(299), { x: 2, y: 0, name: 'here' });
    using four = numbers.mmap();
    four.set(3, 7);
    assert.deepEqual([...four], [0, 0, 0, 7]);
    assert.equal(numbers.get(3), 7);
    assert.equal(
      outcome(() => bytes.mmap()),
      'EINVAL',
    );
    mapped.close();
    assert.equal(
      outcome(() => last.x),
      'EBADF',
    );
  });

  it('sections of global variables are such arrays', async () => {
    const text = `.license "GPL"\n.section .bss\n.var count : u64\n.section syscall\n.func f : s32 (void *ctx)
      r1 = count ll\n r0 = *(u64 *)(r1 + 0)\n r0 += 1\n *(u64 *)(r1 + 0) = r0\n exit\n`;
    using running = kernel.open();
    using loaded = await (await open(assembleObject(text, 'globals'))).load(running);
    using mapped = loaded.maps['.bss'].mmap();
    mapped.bytes[0] = 6;
    assert.equal(loaded.programs.f.run().retval, 7);
    assert.equal(mapped.bytes[0], 7);
  });
});
