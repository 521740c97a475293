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

/** Touches an arena with SEGV_ON_FAULT in every way there is, and says which errors that gave. */
const TOUCHES = `
  const { createMap } = await import('${new URL('create-map.ts', import.meta.url)}');
  const { Owned } = await import('${new URL('fd.ts', import.meta.url)}');
  const { mapSpec } = await import('${new URL('../object/map-definitions.ts', import.meta.url)}');
  const { toPlain, viewOf } = await import('${new URL('../view/index.ts', import.meta.url)}');
  const { BtfBuilder } = await import('${new URL('../btf/index.ts', import.meta.url)}');
  const builder = new BtfBuilder();
  const text = builder.array(builder.int('char', 1), 16);
  const words = builder.array(builder.int('unsigned int', 4), 4);
  const node = builder.composite('struct', 'node', [
    { name: 'value', type: builder.int('unsigned long', 8) }, { name: 'text', type: text }, { name: 'words', type: words }]);
  const btf = builder.build();
  const spec = mapSpec('arena', { type: 33, maxEntries: 16, flags: ${MMAPABLE | SEGV_ON_FAULT} });
  const arena = createMap(spec, undefined, new Owned());
  const { memory, userVmStart } = arena;
  const struct = viewOf(btf, node, memory, 4096);
  const touches = [
    () => arena.bytes, () => arena.touch(userVmStart, 1), () => arena.touch(userVmStart, 8, true), () => arena.read(0, 8192),
    () => arena.write(0, new Uint8Array(8)), () => memory.view.getUint8(0), () => memory.view.setFloat64(65528, 1),
    () => struct.value, () => { struct.value = 1n; }, () => struct.text.string, () => { struct.text = 'x'; },
    () => struct.words[2], () => struct.words.typed, () => toPlain(struct), () => { struct.words = [1, 2, 3, 4]; },
  ];
  console.log(touches.map((touch) => { try { touch(); return 'ok'; } catch (error) { return error.code; } }).join(' '));
`;

onLinux('an arena that answers touches with SIGSEGV', () => {
  it('never kills the process', () => {
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', TOUCHES], { encoding: 'utf8' });
    assert.equal(child.signal, null);
    assert.equal(child.stderr, '');
    const expected = ['EOPNOTSUPP', ...Array(11).fill('EFAULT'), 'EOPNOTSUPP', 'EFAULT', 'EFAULT'];
    assert.equal(child.stdout.trim(), expected.join(' '));
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
