import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { onLinux, outcome } from '../../test/contract/kernels.ts';
import { mapSpec } from '../object/map-definitions.ts';
import type { LinuxArena } from './arena.ts';
import { createMap } from './create-map.ts';
import { Owned } from './fd.ts';
import { openMapById } from './index.ts';

/** What only Linux has: touches that would kill the process, and arenas that others made. */

const MMAPABLE = 1 << 10;
const SEGV_ON_FAULT = 1 << 17;
const ARENA = { type: 33, maxEntries: 16, flags: MMAPABLE };

function create(owned: Owned, fields: Parameters<typeof mapSpec>[1] = {}): LinuxArena {
  return createMap(mapSpec('arena', { ...ARENA, ...fields }), undefined, owned) as LinuxArena;
}

/** Touches an arena with SEGV_ON_FAULT, whose first page alone is present, in every way there is: what each gives. */
const TOUCHES = `
  const { createMap } = await import('${new URL('create-map.ts', import.meta.url)}');
  const { Owned } = await import('${new URL('fd.ts', import.meta.url)}');
  const { populate } = await import('${new URL('populate.ts', import.meta.url)}');
  const { mapSpec } = await import('${new URL('../object/map-definitions.ts', import.meta.url)}');
  const { castView, elementAt, toPlain, viewOf } = await import('${new URL('../view/index.ts', import.meta.url)}');
  const { BtfBuilder } = await import('${new URL('../btf/index.ts', import.meta.url)}');
  const { inspect } = await import('node:util');
  const builder = new BtfBuilder();
  const node = builder.add({ kind: 'struct', name: 'node', size: 48, members: [] });
  builder.set(node, { kind: 'struct', name: 'node', size: 48, members: [
    ['value', builder.int('unsigned long', 8)], ['next', builder.ptr(node)],
    ['text', builder.array(builder.int('char', 1), 16)], ['words', builder.array(builder.int('unsigned int', 4), 4)],
  ].map(([name, type], i) => ({ name, type, bitOffset: [0, 64, 128, 256][i], bitfieldSize: 0 })) });
  const btf = builder.build();
  const spec = mapSpec('arena', { type: 33, maxEntries: 16, flags: ${MMAPABLE | SEGV_ON_FAULT} });
  const arena = createMap(spec, undefined, new Owned());
  populate(arena, 0, 1);
  const { memory, userVmStart } = arena;
  const { view } = memory;
  const at = (offset) => viewOf(btf, node, memory, offset);
  const [present, absent, between] = [at(0), at(4096), at(4096 - 24)];
  present.next = absent;
  between.next = present;
  const touches = {
    raw: () => arena.bytes, typed: () => absent.words.typed,
    ok: () => { present.value = 5n; return toPlain(present.value); },
    touch: () => arena.touch(userVmStart + 4096n, 1), write: () => arena.touch(userVmStart + 8192n, 8, true),
    read: () => arena.read(4096, 8192), partly: () => arena.read(4000, 200), put: () => arena.write(4090, new Uint8Array(8)),
    field: () => absent.value, setField: () => { absent.value = 1n; }, pointer: () => absent.next,
    followed: () => present.next.value, followedTwice: () => between.next.next.next,
    setPointer: () => { absent.next = present; }, text: () => absent.text.string, setText: () => { absent.text = 'x'; },
    textAcross: () => between.text.string, setTextAcross: () => { between.text.string = 'x'; }, asText: () => String(absent.text),
    index: () => absent.words[2], setIndex: () => { absent.words[1] = 3; }, at: () => absent.words.at(3),
    set: () => absent.words.set(0, 1), all: () => [...absent.words], part: () => absent.words.subarray(1).at(0),
    assign: () => { absent.words = [1, 2, 3, 4]; }, plain: () => toPlain(absent), plainAcross: () => toPlain(between),
    beyond: () => at(65536 - 8).next, outside: () => at(2 ** 20).value, cast: () => castView(absent, 'struct node').value,
    element: () => elementAt(present, 100).value,
  };
  for (const type of ['Int8', 'Uint8', 'Int16', 'Uint16', 'Int32', 'Uint32', 'Float32', 'Float64', 'BigInt64', 'BigUint64']) {
    touches['get' + type] = () => view['get' + type](8192, true);
    touches['set' + type] = () => view['set' + type](8192, type.startsWith('Big') ? 1n : 1, true);
  }
  const result = {};
  for (const [name, touch] of Object.entries(touches)) {
    try { result[name] = 'ok'; touch(); } catch (error) { result[name] = error.code ?? String(error); }
  }
  result.inspect = typeof inspect(absent);
  console.log(JSON.stringify(result));
`;

onLinux('an arena that answers touches with SIGSEGV', () => {
  it('never kills the process', () => {
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', TOUCHES], { encoding: 'utf8' });
    assert.equal(child.signal, null);
    assert.equal(child.stderr, '');
    const { raw, typed, ok, inspect, ...others } = JSON.parse(child.stdout);
    assert.deepEqual(
      { raw, typed, ok, inspect },
      { raw: 'EOPNOTSUPP', typed: 'EOPNOTSUPP', ok: 'ok', inspect: 'string' },
    );
    assert.ok(Object.keys(others).length > 45);
    for (const [touch, answer] of Object.entries(others)) assert.equal(answer, 'EFAULT', touch);
  });
});

onLinux('an arena that exists', () => {
  it('opens by id at the same address, and is the same memory', () => {
    const owned = new Owned();
    const arena = create(owned);
    using other = openMapById(arena.id) as LinuxArena;
    other.bytes[100] = 7;
    assert.equal(arena.bytes[100], 7);
    assert.equal(other.userVmStart, arena.userVmStart);
    owned.close();
    assert.equal(other.bytes[100], 7, 'the mapping stays as long as one uses it');
  });

  it('opens in another process where this one has it, read-only on request', () => {
    const owned = new Owned();
    const arena = create(owned, { maxEntries: 2 ** 20 });
    arena.bytes[2 ** 32 - 1] = 9;
    const script = `
      const { openMapById } = await import('${new URL('index.ts', import.meta.url)}');
      const arena = openMapById(${arena.id}, { readOnly: true });
      const codes = [() => arena.bytes, () => arena.write(0, new Uint8Array(1)), () => arena.memory.touch(0, 1, true)]
        .map((action) => { try { action(); return 'ok'; } catch (error) { return error.code; } });
      console.log(arena.userVmStart, arena.read(2 ** 32 - 5000, 5000)[4999], arena.memory.view.getUint8(2 ** 32 - 1), ...codes);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(child.stderr, '');
    assert.equal(child.stdout.trim(), `${arena.userVmStart}n 9 9 EOPNOTSUPP EPERM EPERM`);
    owned.close();
  });

  it('at addresses that are taken: EEXIST, and nothing is replaced', () => {
    const owned = new Owned();
    const arena = create(owned);
    arena.bytes[0] = 1;
    assert.equal(
      outcome(() => create(owned, { mapExtra: arena.userVmStart })),
      'EEXIST',
    );
    assert.equal(arena.bytes[0], 1);
    owned.close();
  });

  it('tells of a page what Linux tells: present where this process touched it', () => {
    const owned = new Owned();
    const arena = create(owned);
    arena.bytes[4096] = 1;
    assert.deepEqual([arena.pageState(0), arena.pageState(1)], [undefined, 'present']);
    assert.equal(arena.statistics.present, undefined);
    owned.close();
  });
});
