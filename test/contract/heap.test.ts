import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type AnyShape, type LoadedObject, open } from '../../src/index.ts';
import { onBothKernels, outcome } from './kernels.ts';

/** User space allocates from the slab allocator that programs use; the programs are those of programs/arena_slab.bpf.c. */

interface TreeNode {
  child: { [side: number]: TreeNode | null };
  parent: TreeNode | null;
  key: bigint;
}
interface ListNode {
  next: ListNode | null;
  value: bigint;
}
type Loaded = LoadedObject<AnyShape>;

/** Keys in an order that is not theirs: multiples of a number prime to how many there are. */
const KEYS = Array.from({ length: 1009 }, (_, i) => BigInt((i * 400) % 1009));

function insert({ heap, globals }: Loaded, key: bigint): void {
  let parent: TreeNode | null = null;
  let side = 0;
  for (let at: TreeNode | null = globals.root; at !== null; at = at.child[side]) {
    parent = at;
    side = key > at.key ? 1 : 0;
  }
  const node = heap.alloc<TreeNode>('struct tree_node', { parent, key });
  if (parent === null) globals.root = node;
  else parent.child[side] = node;
}

/** Frees a list, and counts. */
function freeList({ heap, globals }: Loaded): number {
  let length = 0;
  for (let node: ListNode | null = globals.list; node !== null; length++) {
    const { next }: ListNode = node;
    heap.free(node);
    node = next;
  }
  globals.list = null;
  return length;
}

onBothKernels('a heap that user space and programs share', (kernel) => {
  /** The object in a kernel of its own. */
  async function withHeap(work: (loaded: Loaded) => void): Promise<void> {
    const object = await open(new URL('../../programs/arena_slab.bpf.o', import.meta.url));
    for (const name of ['slab_on_one_cpu', 'slab_contend', 'slab_empty'])
      object.programs[name].autoload = false;
    using opened = kernel.open();
    using loaded = await object.load(opened);
    work(loaded);
  }
  const run = ({ programs }: Loaded, name: string) => programs[name].run().retval | 0;

  it('a program walks the tree that TypeScript has built', () =>
    withHeap((loaded) => {
      for (const key of KEYS) insert(loaded, key);
      assert.equal(run(loaded, 'sum_tree'), 0);
      assert.equal(loaded.globals.tree_nodes, 1009n);
      // The sum of i * (i + 1) for i below 1009.
      assert.equal(loaded.globals.tree_sum, (1008n * 1009n * 1010n) / 3n);
      assert.equal(loaded.heap.statistics.objects, 1009);
    }));

  it('TypeScript frees the list that a program has built, and its pages serve the program again', () =>
    withHeap((loaded) => {
      assert.equal(run(loaded, 'grow_list'), 0);
      assert.equal(loaded.heap.statistics.objects, 1000);
      const { pages } = loaded.heap.statistics;
      assert.equal(freeList(loaded), 1000);
      assert.deepEqual(loaded.heap.statistics, { objects: 0, pages, kept: pages });
      assert.equal(run(loaded, 'grow_list'), 0);
      assert.deepEqual(loaded.heap.statistics, { objects: 1000, pages, kept: 0 });
    }));

  it('a list of nodes from both sides is one list', () =>
    withHeap((loaded) => {
      const { globals, heap } = loaded;
      globals.list_length = 10n;
      for (let round = 0; round < 5; round++) {
        globals.list = heap.alloc<ListNode>('struct list_node', { next: globals.list, value: 100n });
        run(loaded, 'grow_list');
      }
      let sum = 0n;
      for (let node = globals.list; node !== null; node = node.next) sum += node.value;
      assert.equal(sum, 5n * (45n + 100n));
      assert.equal(freeList(loaded), 55);
    }));

  it('what is allocated is zeroed, of any size up to 4032 bytes, and no two objects overlap', () =>
    withHeap(({ heap }) => {
      const words = Array.from({ length: 400 }, () =>
        heap.alloc<ListNode>('struct list_node', { value: 2n ** 64n - 1n }),
      );
      for (const word of words) heap.free(word);
      const again = words.map(() => heap.alloc<ListNode>('struct list_node'));
      assert.ok(again.every(({ next, value }) => next === null && value === 0n));
      for (const [i, node] of again.entries()) node.value = BigInt(i);
      assert.ok(again.every(({ value }, i) => value === BigInt(i)));
      assert.equal(
        outcome(() => heap.alloc('struct too_big')),
        'E2BIG',
      );
      assert.equal(
        outcome(() => heap.alloc('struct absent')),
        'ENOENT',
      );
    }));

  it('an object is freed once, and only as a whole', () =>
    withHeap(({ heap, globals }) => {
      const node = heap.alloc<TreeNode>('struct tree_node');
      const other = heap.alloc<TreeNode>('struct tree_node');
      assert.equal(
        outcome(() => heap.free(node.child)),
        'ok',
      );
      assert.equal(
        outcome(() => heap.free(node)),
        'EINVAL',
      );
      assert.equal(
        outcome(() => heap.free(globals.heap.bin)),
        'EINVAL',
      );
      heap.free(other);
      assert.equal(
        outcome(() => heap.free(other)),
        'EINVAL',
      );
      assert.equal(heap.statistics.objects, 0);
    }));

  it('values that do not fit leave nothing allocated', () =>
    withHeap(({ heap }) => {
      assert.equal(
        outcome(() => heap.alloc<ListNode>('struct list_node', { value: 1n << 64n })),
        'ERANGE',
      );
      assert.equal(heap.statistics.objects, 0);
    }));

  it('a full arena is ENOMEM, and what is freed can be allocated again', () =>
    withHeap(({ heap }) => {
      const all: object[] = [];
      const code = outcome(() => {
        for (;;) all.push(heap.alloc('struct big_object'));
      });
      assert.equal(code, 'ENOMEM');
      assert.ok(all.length > 4000, `${all.length} pages`);
      heap.free(all[0]);
      assert.equal(
        outcome(() => heap.alloc('struct big_object')),
        'ok',
      );
    }));

  it('an object without an allocator says what to define', async () => {
    const object = await open(new URL('../../programs/arena_list.bpf.o', import.meta.url));
    using opened = kernel.open();
    using loaded = await object.load(opened);
    assert.throws(() => loaded.heap, /arena_slab\.h/);
  });
});
