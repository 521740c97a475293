import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as layout from '../../apps/kv/layout.ts';

const ROOT = new URL('../../', import.meta.url);
const header = readFileSync(new URL('programs/kv/kv.h', ROOT), 'utf8');

/** The enumerators of an enum of kv.h, by name. */
function enumerators(name: string): Record<string, number> {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? '';
  let next = 0;
  const found: Record<string, number> = {};
  for (const [, word, value] of body.replace(/\/\*.*?\*\//gs, '').matchAll(/(KV_\w+)(?: = ([^,]+))?,/g)) {
    if (value !== undefined) {
      const [one, shift] = value.split('<<').map(Number);
      next = shift === undefined ? one : one << shift;
    }
    found[word.replace('KV_', '')] = next++;
  }
  return found;
}

/** The fields of a struct of kv.h, with their offsets and its size. */
function fields(name: string): { offsets: Record<string, number>; size: number } {
  const body = new RegExp(`struct ${name} \\{(.*?)\\n\\}`, 's').exec(header)?.[1] ?? '';
  const offsets: Record<string, number> = {};
  let at = 0;
  for (const [, bits, field] of body.matchAll(/__u(\d+) (\w+);/g)) {
    const bytes = Number(bits) / 8;
    assert.equal(at % bytes, 0, `${name}.${field} is where the compiler puts it`);
    offsets[field] = at;
    at += bytes;
  }
  return { offsets, size: at };
}

describe('what the server takes for granted of the store', () => {
  it('has the numbers of kv.h for commands, options, statuses and what is said of items', () => {
    assert.deepEqual(enumerators('kv_op'), layout.OP);
    assert.deepEqual(enumerators('kv_option'), layout.OPTION);
    assert.deepEqual(enumerators('kv_status'), layout.STATUS);
    assert.deepEqual(enumerators('kv_item_bits'), layout.ITEM);
  });

  it('has the places of kv.h for commands, results and ports', () => {
    for (const [name, places, bytes] of [
      ['kv_command', layout.COMMAND, layout.COMMAND_BYTES],
      ['kv_result', layout.RESULT, layout.RESULT_BYTES],
      ['kv_port', layout.PORT, layout.PORT_BYTES],
    ] as const) {
      const { offsets, size } = fields(name);
      assert.equal(size, bytes);
      for (const [field, offset] of Object.entries(places))
        assert.equal(offsets[field], offset, `${name}.${field}`);
    }
  });
});

describe('the server', () => {
  it('uses the public API only: imports nothing but bpf-arena, commander and what Node has', () => {
    const files = readdirSync(new URL('apps/kv/', ROOT), { recursive: true, encoding: 'utf8' });
    let seen = 0;
    for (const file of files.filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(new URL(`apps/kv/${file}`, ROOT), 'utf8');
      for (const [, name] of text.matchAll(/(?:from|import\() ?'([^']+)'/g)) {
        seen++;
        const allowed = /^(node:.*|bpf-arena|bpf-arena\/linux|commander)$/.test(name);
        const own =
          name.startsWith('.') &&
          new URL(name, new URL(`apps/kv/${file}`, ROOT)).pathname.includes('/apps/kv/');
        assert.ok(allowed || own, `${file} imports ${name}`);
      }
    }
    assert.ok(seen > 30);
  });
});
