import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { FakeMemory, KERNEL_POINTER } from '../../test/view-memory.ts';
import { BtfBuilder } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import {
  addressOf,
  castView,
  containerOf,
  elementAt,
  globalsView,
  Pointer,
  samePlace,
  sizeOf,
  type ViewOptions,
  viewOf,
} from './index.ts';
import { toPlain } from './plain.ts';

interface Node {
  next: Node | null;
  value: bigint;
  tag: number;
  low: number;
  high: number;
  both: number;
  inner: { a: number; b: number };
  any: Pointer | null;
  ints: Pointer<number> | null;
  names: Pointer<Pointer | null> | null;
  constructor: number;
  missing?: number;
}

/** `struct node` in an arena of four pages, and a global variable `head` that points into it from a memory of its own. */
function setUp(options?: ViewOptions) {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const u16 = builder.int('unsigned short', 2);
  const node = builder.reserve();
  const inner = builder.composite('struct', 'inner', [
    { name: 'a', type: int },
    { name: 'b', type: int },
  ]);
  const halves = builder.composite('struct', '', [
    { name: 'low', type: u16 },
    { name: 'high', type: u16 },
  ]);
  const union = builder.composite('union', '', [
    { name: 'both', type: int },
    { name: '', type: halves },
  ]);
  const charPointer = builder.ptr(builder.int('char', 1));
  builder.composite(
    'struct',
    'node',
    [
      { name: 'next', type: builder.ptr(builder.modifier('const', node)) },
      { name: 'value', type: builder.int('long long', 8) },
      { name: 'tag', type: int },
      { name: '', type: union },
      { name: 'inner', type: inner },
      { name: 'any', type: builder.ptr(0) },
      { name: 'ints', type: builder.ptr(int) },
      { name: 'names', type: builder.ptr(charPointer) },
      { name: 'constructor', type: int },
    ],
    node,
  );
  const pointer = builder.ptr(node);
  const btf = builder.build();
  const arena = new FakeMemory(4 * 4096);
  const data = new FakeMemory(16, arena);
  const globals = globalsView<{ count: number; head: Node | null }>(
    btf,
    [
      { memory: data, base: 4, variables: [{ name: 'head', type: pointer, offset: 4 }] },
      { memory: arena, base: 0, variables: [{ name: 'count', type: int, offset: 8 }] },
    ],
    options,
  );
  const at = (offset: number) => viewOf<Node>(btf, node, arena, offset, options);
  return { btf, arena, data, globals, at, node };
}

describe('struct views', () => {
  it('read and write in place', () => {
    const { arena, at } = setUp();
    const view = at(100);
    view.value = -3n;
    view.tag = 7;
    assert.equal(arena.view.getBigInt64(108, true), -3n);
    assert.deepEqual([view.value, view.tag], [-3n, 7]);
  });

  it('have the members of anonymous structs and unions as their own', () => {
    const { at } = setUp();
    const view = at(0);
    view.both = 0x12345678;
    assert.deepEqual([view.low, view.high], [0x5678, 0x1234]);
  });

  it('give the same nested view each time', () => {
    const { at } = setUp();
    const view = at(0);
    assert.equal(view.inner, view.inner);
    view.inner.b = 5;
    assert.equal(view.inner.b, 5);
  });

  it('take an object for a nested struct, or a view, and name the field in errors', () => {
    const { at } = setUp();
    const [one, two] = [at(0), at(200)];
    one.inner = { a: 1, b: 2 };
    two.inner = one.inner;
    assert.deepEqual(toPlain(two.inner), { a: 1, b: 2 });
    assert.throws(() => Object.assign(one, { inner: { a: 2 ** 31 } }), {
      code: 'ERANGE',
      message: /^struct node\.inner\.a: 2147483648 /,
    });
    assert.throws(() => Object.assign(one, { inner: { c: 1 } }), { code: 'EINVAL' });
    assert.throws(() => Object.assign(one, { inner: two }), { code: 'EINVAL' });
  });

  it('refuse assignments to names that are no fields, and reading what is misspelt', () => {
    const { at } = setUp();
    const view = at(0) as Node & { valeu?: bigint };
    const known = 'next, value, tag, both, low, high, inner, any, ints, names, constructor';
    const message = (name: string) => `struct node has no field '${name}'; known are ${known}`;
    assert.equal(view.missing, undefined);
    assert.throws(
      () => {
        view.missing = 1;
      },
      { code: 'ENOENT', message: message('missing') },
    );
    assert.throws(() => view.valeu, { code: 'ENOENT', message: message('valeu') });
    assert.throws(() => Object.assign(view, { inner: { c: 1 } }), /known are a, b$/);
  });

  it('are awaited, compared and looked at by tools without harm', async () => {
    const { at } = setUp();
    const view = at(0);
    assert.equal(await view, view);
    assert.deepEqual([view, `${view.inner}`], [view, '[object Object]']);
    assert.deepEqual(['tag' in view, 'tga' in view], [true, false]);
    const names: string[] = [];
    for (const name in view.inner) names.push(name);
    assert.deepEqual(names, ['a', 'b']);
  });

  it('are no field by field copies when spread, and assigning such a copy says so', () => {
    const { at } = setUp();
    const copy = { ...at(200).inner };
    assert.throws(() => Object.assign(at(0), { inner: copy }), { code: 'EINVAL', message: /toPlain/ });
  });

  it('are JSON with whole 64-bit integers and addresses as text, circles or not', () => {
    const { globals, at } = setUp();
    const view = at(64);
    Object.assign(view, { next: view, value: 2n ** 62n + 1n, ints: addressOf(at(128)) });
    const { next, ints } = JSON.parse(JSON.stringify(view));
    assert.deepEqual([next, ints], ['0x7f0000000040', '0x7f0000000080']);
    assert.match(JSON.stringify(view), /"value":4611686018427387905,/);
    assert.equal(JSON.stringify([view.ints]), '["0x7f0000000080"]');
    assert.equal(JSON.stringify(globals), '{"head":null,"count":0}');
  });

  it('have a field called constructor where C has one', () => {
    const { at } = setUp();
    const view = at(0);
    view.constructor = 9;
    assert.equal(view.constructor, 9);
    assert.throws(
      () => {
        view.missing = 1;
      },
      { message: /^struct node has no field 'missing'/ },
    );
  });

  it('throw what the memory throws: outside, closed, read-only', () => {
    const { arena, at } = setUp();
    assert.throws(() => at(4 * 4096 - 8).value, { code: 'EFAULT' });
    const view = at(0);
    arena.readOnly = true;
    assert.equal(view.tag, 0);
    assert.throws(
      () => {
        view.tag = 1;
      },
      { code: 'EPERM' },
    );
    arena.closed = true;
    assert.throws(() => view.tag, { code: 'EBADF' });
  });

  it('fault in the page of the field that is touched, and no other', () => {
    const { arena, at } = setUp();
    void at(4096 - 16).tag;
    assert.deepEqual([...arena.faulted], [1]);
  });
});

describe('pointers to structs', () => {
  it('are followed across memories; NULL is null', () => {
    const { globals, at } = setUp();
    assert.equal(globals.head, null);
    globals.head = at(4096);
    at(4096).next = at(64);
    at(64).value = 42n;
    assert.equal(globals.head?.next?.value, 42n);
    assert.equal(globals.head?.next?.next, null);
    globals.head = null;
    assert.equal(globals.head, null);
  });

  it('give the same view while unchanged, and another when either half changes', () => {
    const { data, arena, globals, at } = setUp();
    globals.head = at(64);
    const first = globals.head;
    assert.equal(globals.head, first);
    data.view.setUint32(8, 128, true);
    assert.equal(samePlace(globals.head, at(128)), true);
    data.view.setUint32(8, 64, true);
    assert.equal(samePlace(globals.head, first), true);
    data.view.setUint32(12, 0x7f01, true);
    assert.throws(() => globals.head, { code: 'EFAULT' });
    assert.equal(arena.faulted.size, 0);
  });

  it('to where user space cannot look are opaque, with an address', () => {
    const { data, globals } = setUp();
    data.view.setBigUint64(8, KERNEL_POINTER, true);
    const pointer: unknown = globals.head;
    assert(pointer instanceof Pointer);
    assert.equal(pointer.address, KERNEL_POINTER);
    assert.throws(() => pointer.value, { code: 'EFAULT' });
    assert.throws(() => sizeOf(pointer), { code: 'EFAULT' });
  });

  it('take views of their type, addresses and null only', () => {
    const { data, globals, at } = setUp();
    const head = globals as { head: unknown };
    head.head = addressOf(at(64));
    assert.equal(data.view.getBigUint64(8, true), 0x7f00_0000_0040n);
    for (const value of [at(0).inner, {}, 'x', undefined, 1.5]) {
      assert.throws(
        () => {
          head.head = value;
        },
        { code: 'EINVAL' },
      );
    }
    assert.throws(
      () => {
        head.head = -1n;
      },
      { code: 'ERANGE' },
    );
  });

  it('do not keep the views of a long list alive', () => {
    const { btf, node } = setUp();
    const memory = new FakeMemory(20_000 * 80);
    for (let index = 0; index < 19_999; index++) {
      memory.view.setBigUint64(index * 80, memory.addressOf((index + 1) * 80), true);
    }
    const first = viewOf<Node>(btf, node, memory, 0);
    const second = first.next as Node;
    let count = 0;
    for (let n: Node | null = first; n !== null; n = n.next) count++;
    assert.equal(count, 20_000);
    assert.notEqual(first.next, second);
    assert(samePlace(first.next as Node, second));
  });
});

describe('other pointers', () => {
  it('read, write and index what they point to', () => {
    const { arena, at } = setUp();
    const view = at(0);
    Object.assign(view, { ints: arena.addressOf(400) });
    const ints = view.ints as Pointer<number>;
    ints.value = 5;
    ints.set(2, 7);
    assert.deepEqual([...ints.array(3)], [5, 0, 7]);
    assert.equal(elementAt(ints, 2).value, 7);
    assert.equal(elementAt(ints, 2).address, arena.addressOf(408));
    assert.equal(view.ints, ints);
    assert.throws(() => ints.set(0, 2 ** 31), { code: 'ERANGE' });
  });

  it('to pointers to char give text, up to the last byte of the memory', () => {
    const { arena, at } = setUp();
    Object.assign(at(0), { names: arena.addressOf(512) });
    arena.view.setBigUint64(512, arena.addressOf(4 * 4096 - 4), true);
    for (const [index, byte] of [...Buffer.from('abc')].entries())
      arena.view.setUint8(4 * 4096 - 4 + index, byte);
    assert.equal(at(0).names?.value?.string(), 'abc');
    assert.equal(at(0).names?.at(1), null);
    assert.equal(at(0).names?.value?.string(2), 'ab');
  });

  it('to void have an address, and a value only when cast', () => {
    const { arena, at } = setUp();
    Object.assign(at(0), { any: arena.addressOf(64), tag: 3 });
    at(64).tag = 8;
    const any = at(0).any as Pointer;
    assert.throws(() => any.value, { code: 'EINVAL' });
    assert.equal(castView<Node>(any, 'struct node').tag, 8);
  });
});

describe('operations on views', () => {
  it('do what &, sizeof, p + i, casts and container_of do', () => {
    const { arena, at } = setUp();
    const view = at(64);
    assert.equal(addressOf(view), arena.addressOf(64));
    assert.equal(sizeOf(view), 64);
    assert.equal(sizeOf(view.inner), 8);
    assert(samePlace(elementAt(view, -1), at(0)));
    assert(samePlace(containerOf(view.inner, 'struct node', 'inner'), view));
    assert(samePlace(containerOf(castView(view.inner, 'inner'), 'node', 'inner.a'), view));
    assert.throws(() => elementAt(at(0), -1), { code: 'EFAULT' });
  });

  it('refuse unknown types and members with ENOENT, and what is no view with EINVAL', () => {
    const { at } = setUp();
    assert.throws(() => castView(at(0), 'struct nothing'), { code: 'ENOENT' });
    assert.throws(() => containerOf(at(0), 'node', 'nothing'), { code: 'ENOENT' });
    assert.throws(() => addressOf({}), { code: 'EINVAL' });
  });
});

describe('plain copies', () => {
  it('follow pointers as deep as asked, and show circles and dead ends as addresses', () => {
    const { arena, at } = setUp();
    at(0x100).next = at(0x200);
    at(0x200).next = at(0x100);
    Object.assign(at(0x200), { any: KERNEL_POINTER, tag: 2 });
    const next = (depth: number) => (toPlain(at(0x100), { depth }) as { next: unknown }).next;
    assert.equal(next(0), '0x7f0000000200');
    assert.deepEqual(next(9), {
      ...(toPlain(at(0x200)) as object),
      next: '0x7f0000000100',
    });
    assert.equal((toPlain(at(0x200)) as { any: unknown }).any, '0xffff888000001000');
    arena.view.setBigUint64(0x100, 0x7f00_ffff_0000n, true);
    assert.equal(next(9), '0x7f00ffff0000');
  });

  it('have a 64-bit integer as bigint where no number is exact', () => {
    const { at } = setUp({ int64: 'number' });
    Object.assign(at(0), { value: 2n ** 62n });
    assert.equal((toPlain(at(0)) as { value: unknown }).value, 2n ** 62n);
  });

  it('are what inspect prints, and a closed memory is no accident', () => {
    const { arena, at, globals } = setUp();
    assert.equal(inspect(at(0).inner), 'struct inner { a: 0, b: 0 }');
    assert.equal(inspect(globals), '{ head: null, count: 0 }');
    assert.equal(JSON.stringify(at(0).inner), '{"a":0,"b":0}');
    arena.closed = true;
    assert.equal(inspect(at(0).inner), 'struct inner [EBADF: closed]');
  });
});

describe('globals', () => {
  it('are properties over several memories, enumerable, and no others can be added', () => {
    const { arena, globals } = setUp();
    globals.count = 3;
    assert.equal(arena.view.getInt32(8, true), 3);
    assert.deepEqual(Object.keys(globals), ['head', 'count']);
    assert.throws(
      () => Object.assign(globals, { cuont: 1 }),
      new BpfError('ENOENT', "there is no global variable 'cuont'; known are head, count"),
    );
  });

  it('name the variable in errors', () => {
    const { globals } = setUp();
    assert.throws(
      () => Object.assign(globals, { count: 1e10 }),
      new BpfError('ERANGE', 'count: 10000000000 is not between -2147483648 and 2147483647'),
    );
  });
});

describe('cost', () => {
  const READS = 20_000;

  /** Bytes allocated in each of many runs: the median, so that neither a collection nor a compilation counts. */
  function allocated(run: () => unknown): number {
    const growth = Array.from({ length: 61 }, () => {
      const before = process.memoryUsage().heapUsed;
      run();
      return process.memoryUsage().heapUsed - before;
    });
    return growth.slice(30).sort((a, b) => a - b)[15];
  }

  it('reading a field allocates nothing after the first use, nor does following the pointers of a list again', () => {
    const { at } = setUp({ int64: 'number' });
    const view = at(64);
    view.next = at(128);
    at(128).next = at(256);
    Object.assign(view, { value: 99_999 });
    const reads = {
      int: () => view.tag,
      int64: () => view.value,
      nested: () => view.inner.a,
      anonymous: () => view.high,
      pointer: () => view.next?.next?.tag,
    };
    for (const [name, read] of Object.entries(reads)) {
      const bytes = allocated(() => {
        for (let index = 0; index < READS; index++) read();
      });
      assert(bytes < READS, `${name}: ${bytes} bytes in ${READS} reads`);
    }
  });
});
