import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyKind } from '../../test/fixtures.ts';
import { FormatError } from '../errors.ts';
import { BTF_KIND, Btf, BtfBuilder, type BtfType, printC } from './index.ts';

function typesOf(btf: Btf): BtfType[] {
  return Array.from({ length: btf.count }, (_, id) => btf.type(id));
}

function refused(use: () => unknown, message: RegExp): void {
  assert.throws(use, (error: unknown) => error instanceof FormatError && message.test(error.message));
}

test('every kind comes back as it was built, and re-encodes to the same bytes', () => {
  const { btf, bytes } = everyKind;
  const kinds = new Set(typesOf(btf).map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), Object.keys(BTF_KIND).sort());
  const again = BtfBuilder.from(btf);
  assert.deepEqual(typesOf(again.build()), typesOf(btf));
  assert.deepEqual(again.write(), bytes);
});

test('types are found by name and kind', () => {
  const { btf, ids } = everyKind;
  assert.equal(btf.idOf('node'), ids.node);
  assert.equal(btf.idOf('node', 'struct'), ids.node);
  assert.equal(btf.idOf('node', 'union'), undefined);
  assert.equal(btf.idOf('nod'), undefined);
  assert.equal(btf.idOf('void'), 0);
});

test('sizes and alignments are those of C', () => {
  const { btf, ids } = everyKind;
  assert.equal(btf.sizeOf(ids.node), 104);
  assert.equal(btf.alignOf(ids.node), 8);
  assert.equal(btf.sizeOf(ids.flags), 4);
  refused(() => btf.sizeOf(0), /a void has no size/);
  refused(() => btf.sizeOf(ids.main), /a func has no size/);
});

test('a struct whose members or size are not aligned, or whose bit fields cross a boundary, is packed: alignment 1', () => {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4);
  const member = { name: 'a', type: int, bitOffset: 8, bitfieldSize: 0 };
  const id = builder.add({ kind: 'struct', name: 'p', size: 5, members: [member] });
  const tight = { name: 'a', type: int, bitOffset: 0, bitfieldSize: 0 };
  const odd = builder.add({ kind: 'struct', name: 'q', size: 5, members: [tight] });
  const crossing = { name: 'a', type: int, bitOffset: 20, bitfieldSize: 20 };
  const bits = builder.add({ kind: 'struct', name: 'r', size: 8, members: [crossing] });
  const btf = builder.build();
  assert.deepEqual([btf.alignOf(id), btf.alignOf(odd), btf.alignOf(bits)], [1, 1, 1]);
});

test('tags of a type and of its members are kept apart', () => {
  const { btf, ids } = everyKind;
  assert.deepEqual(btf.declTags(ids.node), ['owner']);
  assert.deepEqual(btf.declTags(ids.node, 0), ['chain']);
  assert.deepEqual(btf.declTags(ids.node, 1), []);
});

test('kindOf and nameOf agree with the decoded type', () => {
  const { btf } = everyKind;
  for (const [id, { kind, name }] of typesOf(btf).entries()) {
    assert.deepEqual([btf.kindOf(id), btf.nameOf(id)], [kind, name]);
  }
});

test('split BTF continues ids and strings of its base, and finds names in both', () => {
  const { btf: base, ids } = everyKind;
  const builder = new BtfBuilder({ base });
  const pointer = builder.ptr(ids.node);
  const own = builder.composite('struct', 'module_node', [{ name: 'core', type: pointer }]);
  const split = Btf.read(builder.write(), { base });
  assert.equal(pointer, base.count);
  assert.equal(split.idOf('module_node'), own);
  assert.equal(split.idOf('node'), ids.node);
  assert.deepEqual(split.type(ids.node), base.type(ids.node));
  assert.equal(split.sizeOf(own), 8);
});

test('split BTF may take names from the strings of its base', () => {
  const { btf: base, bytes: baseBytes } = everyKind;
  const builder = new BtfBuilder({ base });
  const id = builder.add({ kind: 'fwd', name: 'x', fwdKind: 'union' });
  const bytes = builder.write();
  const nodeName = new DataView(baseBytes.buffer).getUint32(base.offsetOf(everyKind.ids.node), true);
  new DataView(bytes.buffer).setUint32(24, nodeName, true);
  const split = Btf.read(bytes, { base });
  assert.equal(split.nameOf(id), 'node');
  assert.equal(split.idOf('node', 'fwd'), id);
});

test('split BTF without its base is refused', () => {
  const bytes = new BtfBuilder({ base: everyKind.btf }).write();
  refused(() => Btf.read(bytes), /split BTF needs its base/);
});

test('names that are not ASCII are decoded as UTF-8', () => {
  const builder = new BtfBuilder();
  const id = builder.add({ kind: 'fwd', name: 'größe', fwdKind: 'struct' });
  const btf = builder.build();
  assert.equal(btf.nameOf(id), 'größe');
  assert.equal(btf.idOf('größe'), id);
});

test('types that go in a circle are refused, not followed for ever', () => {
  const builder = new BtfBuilder();
  builder.add({ kind: 'typedef', name: 'a', type: 2 });
  builder.add({ kind: 'const', name: '', type: 1 });
  builder.add({ kind: 'array', name: '', type: 3, indexType: 3, nelems: 1 });
  const member = { name: 'self', type: 4, bitOffset: 0, bitfieldSize: 0 };
  builder.add({ kind: 'struct', name: 'egg', size: 8, members: [member] });
  const btf = builder.build();
  refused(() => btf.resolve(1), /more than 32 typedefs/);
  refused(() => btf.sizeOf(1), /more than 32/);
  refused(() => btf.sizeOf(3), /more than 32/);
  refused(() => btf.alignOf(3), /nested deeper/);
  refused(() => btf.alignOf(4), /nested deeper/);
});

test('the alignment of structs within structs, each twice, takes linear time', () => {
  const builder = new BtfBuilder();
  let inner = builder.int('int', 4);
  for (let level = 0; level < 60; level++) {
    const member = (name: string) => ({ name, type: inner, bitOffset: 0, bitfieldSize: 0 });
    inner = builder.add({ kind: 'union', name: `u${level}`, size: 4, members: [member('a'), member('b')] });
  }
  assert.equal(builder.build().alignOf(inner), 4);
});

test('many tags on a struct of many members take linear time to print', () => {
  const builder = new BtfBuilder();
  const type = builder.int('char', 1);
  const members = Array.from({ length: 60_000 }, (_, i) => ({
    ...{ name: `m${i}`, type, bitOffset: i * 8, bitfieldSize: 0 },
  }));
  const id = builder.add({ kind: 'struct', name: 's', size: 60_000, members });
  for (let i = 0; i < 60_000; i++) builder.declTag('t', id, i);
  const started = performance.now();
  assert.equal(printC(builder.build()).split('btf_decl_tag("t")').length, 60_001);
  // Quadratic would be minutes.
  assert.ok(performance.now() - started < 60_000);
});

test('arrays beyond 4 GiB are refused', () => {
  const builder = new BtfBuilder();
  const id = builder.array(builder.array(builder.int('int', 4), 2 ** 31), 2 ** 31);
  refused(() => builder.build().sizeOf(id), /types end at 4 GiB/);
});

test('a damaged header is refused with its field', () => {
  const { bytes } = everyKind;
  refused(() => Btf.read(bytes.subarray(0, 10)), /\.BTF, offset 0: 10 bytes are too few/);
  refused(() => Btf.read(bytes.with(0, 0xeb).with(1, 0x9f)), /big-endian; compile with clang -target bpfel/);
  refused(() => Btf.read(bytes.with(2, 9)), /offset 2: BTF version 9/);
  refused(() => Btf.read(bytes.with(15, 0x7f)), /offset 12: the types end beyond/);
  refused(() => Btf.read(bytes.with(bytes.length - 1, 1)), /the last string has no end/);
});

test('a damaged type is refused when it is read, and names its place', () => {
  const { bytes, btf } = everyKind;
  const id = btf.idOf('count_t') ?? 0;
  const at = btf.offsetOf(id);
  const damaged = Btf.read(bytes.with(at + 10, 0xff));
  refused(
    () => damaged.type(id),
    new RegExp(`\\.BTF, offset ${at + 8}: type \\d+ of ${btf.count} does not exist`),
  );
  assert.equal(damaged.type(1).name, 'int');
  refused(() => btf.type(btf.count), /no such type/);
  refused(() => btf.type(-1), /no such type/);
});

test('a name without end in sight is refused', () => {
  const builder = new BtfBuilder();
  builder.add({ kind: 'fwd', name: 'x'.repeat(5000), fwdKind: 'struct' });
  refused(() => builder.build().type(1), /a name longer than 4095 bytes/);
});

test('the builder stores a string once, and gives the same unnamed type once', () => {
  const builder = new BtfBuilder();
  assert.equal(builder.string('abc'), builder.string('abc'));
  const int = builder.int('int', 4);
  assert.equal(builder.ptr(int), builder.ptr(int));
  assert.notEqual(builder.ptr(int), builder.ptr(builder.ptr(int)));
});

test('what is replaced in a builder is what is written', () => {
  const builder = BtfBuilder.from(everyKind.btf);
  const id = everyKind.btf.idOf('.data') ?? 0;
  const section = builder.type(id);
  assert.ok(section.kind === 'datasec');
  builder.set(id, { ...section, size: 64 });
  assert.equal(builder.build().sizeOf(id), 64);
});

test('the builder refuses what BTF cannot hold', () => {
  const builder = new BtfBuilder();
  const type = builder.int('int', 4);
  const member = { name: 'far', type, bitOffset: 1 << 24, bitfieldSize: 1 };
  builder.add({ kind: 'struct', name: 's', size: 8, members: [member] });
  refused(() => builder.write(), /member far at bit 16777216 is too far/);
});
