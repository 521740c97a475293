import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { it } from 'node:test';
import { open } from '../index.ts';
import { EmbeddedKernel } from './kernel.ts';

/** Compiled programs as text: docs of what the JIT makes, with the names and lines that people know. */

const PROGRAMS = new URL('../../programs/', import.meta.url);

it('shows functions by their names, and code behind the source line that it is of', async () => {
  const object = await open(new URL('arena_list.bpf.o', PROGRAMS));
  using loaded = await object.load();
  const wat = loaded.programs.arena_list_add.wat ?? '';
  assert.match(wat, /\n {2}\(func \$arena_list_add \(type \d+\)/);
  assert.match(wat, /;; \.\/arena_list\.bpf\.c:\d+: list_head = &list;\n +i64\.const/);
  assert.match(wat, /call \$bpf_arena_alloc_pages\n/);
  assert.match(wat, /local\.get \$r1\n/);
  const comments = wat.match(/;; .*/g) ?? [];
  assert.deepEqual(
    comments.filter((line, i) => line === comments[i - 1]),
    [],
    'no line is said twice in a row',
  );
});

it('there is text for whatever the JIT makes', async () => {
  for (const file of readdirSync(PROGRAMS).filter((name) => name.endsWith('.bpf.o'))) {
    const object = await open(new URL(file, PROGRAMS));
    using kernel = new EmbeddedKernel();
    for (const spec of Object.values(object.programs)) {
      for (const each of Object.values(object.programs)) each.autoload = each === spec;
      const parts = await object.load(kernel).catch(() => undefined);
      // Some programs are there to be refused.
      if (parts === undefined) continue;
      assert.match(parts.programs[spec.name].wat ?? '', /^\(module\n[\s\S]*\n\)\n$/, `${file}: ${spec.name}`);
      parts.close();
    }
  }
});

it('there is none for what is interpreted', async () => {
  using kernel = new EmbeddedKernel({ engine: 'interpreter' });
  const object = await open(new URL('arena_list.bpf.o', PROGRAMS));
  using loaded = await object.load(kernel);
  assert.equal(loaded.programs.arena_list_add.wat, undefined);
});
