import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { embedded, type Kernel, open, printTs } from '../src/index.ts';

/** What users hand in that is not what the API takes: refused with our error, never taken for something else. */

const LIST = 'programs/arena_list.bpf.o';
type Anything = never;

/** What `action` rejects or throws. */
async function refusal(action: () => unknown): Promise<{ code?: string; message: string }> {
  try {
    await action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was taken');
}

describe('open', () => {
  for (const source of [undefined, null, 5, {}, [], new Uint16Array(3)]) {
    it(`does not take ${JSON.stringify(source)} for bytes: EINVAL`, async () => {
      const { code, message } = await refusal(() => open(source as Anything));
      assert.equal(code, 'EINVAL');
      assert.match(message, /^open takes/);
    });
  }

  it('says why a file cannot be read', async () => {
    const reasons = [
      ['/nonexistent', 'ENOENT', 'there is no such file'],
      ['programs', 'EISDIR', 'it is a folder'],
    ];
    for (const [path, code, reason] of reasons) {
      const error = await refusal(() => open(path));
      assert.equal(error.code, code);
      assert.equal(error.message, `cannot read '${path}': ${reason}`);
    }
  });

  it('stops reading what never ends: EFBIG', { skip: process.platform === 'win32' }, async () => {
    assert.equal((await refusal(() => open('/dev/zero'))).code, 'EFBIG');
  });

  it("does not take a server's error page for an object: EIO", async () => {
    const server = createServer((_, response) => response.writeHead(404).end('no')).listen(0, '127.0.0.1');
    try {
      await new Promise((listening) => server.once('listening', listening));
      const { port } = server.address() as AddressInfo;
      const { code, message } = await refusal(() => open(new URL(`http://127.0.0.1:${port}/x.bpf.o`)));
      assert.equal(code, 'EIO');
      assert.match(message, /404 Not Found/);
    } finally {
      server.close();
    }
  });
});

describe('generated types', () => {
  for (const name of ['arena_list', 'arena_htab', 'arena_globals', 'arena_heap']) {
    it(`name the globals that ${name} has, and no others`, async () => {
      const object = await open(`programs/${name}.bpf.o`);
      const [, globals = ''] = printTs(object.types as NonNullable<typeof object.types>).split(
        'interface Globals {',
      );
      const names = [...globals.matchAll(/^ {2}(?:readonly |get )?(\w+)(?:\(\))?: /gm)].map(
        ([, each]) => each,
      );
      const kconfig = /^(CONFIG_|LINUX_)/;
      assert.deepEqual(
        names.filter((each) => !kconfig.test(each)).sort(),
        Object.keys(object.globals).sort(),
      );
    });
  }
});

describe('what is set before load', () => {
  const settings: readonly (readonly [setting: string, value: unknown])[] = [
    ['maxEntries', 1.5],
    ['maxEntries', -1],
    ['maxEntries', 2 ** 32],
    ['maxEntries', 5n],
    ['flags', 'x'],
    ['flags', Number.NaN],
    ['mapExtra', 4096],
    ['mapExtra', 2n ** 64n],
    ['mapExtra', -1n],
  ];
  for (const [setting, value] of settings) {
    it(`${setting} does not take ${String(value)} (${typeof value}): EINVAL`, async () => {
      const object = await open(LIST);
      Object.assign(object.maps.arena, { [setting]: value });
      const { code, message } = await refusal(() => object.load());
      assert.equal(code, 'EINVAL');
      assert.match(message, new RegExp(`^map 'arena': ${setting} is`));
    });
  }

  for (const kernel of [null, 5, {}, 'linux']) {
    it(`${JSON.stringify(kernel)} is no kernel to load into: EINVAL`, async () => {
      const object = await open(LIST);
      assert.equal((await refusal(() => object.load(kernel as unknown as Kernel))).code, 'EINVAL');
    });
  }
});

describe('the embedded kernel', () => {
  const wrong = [
    { faults: 'x' },
    { instructionBudget: Number.NaN },
    { instructionBudget: 0 },
    { onTrace: 5 },
    { worker: 5 },
  ];
  for (const options of wrong) {
    it(`refuses the option ${Object.entries(options).flat().join(' ')}: EINVAL`, async () => {
      assert.equal((await refusal(() => embedded(options as Anything))).code, 'EINVAL');
    });
  }

  const runs = [{ ctx: 5 }, { ctx: [0, 0, 0, 0] }, { repeat: 0 }, { repeat: 1.5 }, { repeat: 2 ** 32 }];
  for (const options of runs) {
    it(`refuses to run with ${Object.entries(options).flat().join(' ')}: EINVAL`, async () => {
      using loaded = await (await open(LIST)).load();
      const { code } = await refusal(() => loaded.programs.arena_list_add.run(options as Anything));
      assert.equal(code, 'EINVAL');
    });
  }

  it('has no pages beyond the arena, and none once it is closed', async () => {
    const loaded = await (await open(LIST)).load();
    const arena = loaded.arena as NonNullable<typeof loaded.arena>;
    for (const page of [-1, 0.5, Number.NaN, arena.maxEntries]) {
      assert.equal((await refusal(() => arena.pageState(page))).code, 'EINVAL');
    }
    for (const [length, code] of [
      [2 ** 33, 'EFAULT'],
      [Number.NaN, 'EINVAL'],
      [-1, 'EINVAL'],
    ] as const) {
      assert.equal((await refusal(() => arena.touch(arena.userVmStart, length))).code, code);
    }
    loaded.close();
    assert.equal((await refusal(() => arena.statistics)).code, 'EBADF');
    assert.equal((await refusal(() => arena.pageState(0))).code, 'EBADF');
  });
});
