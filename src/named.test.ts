import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { looksLike, named } from './named.ts';

describe('names', () => {
  it('look alike but for case and one slip', () => {
    for (const other of ['count', 'Count', 'cont', 'counts', 'coumt', 'ocunt', 'counT', 'cuont'])
      assert.ok(looksLike('count', other), other);
    for (const other of ['', 'c', 'cnt', 'account', 'tnuoc', 'counted'])
      assert.ok(!looksLike('count', other), other);
  });
});

describe('a record of names', () => {
  const record = () => named({ count: 1, head: 2 } as Record<string, number>, 'there is no global variable');

  it('has what it has', () => {
    assert.deepEqual({ ...record() }, { count: 1, head: 2 });
    assert.equal(record().count, 1);
  });

  it('throws for a misspelt name, and for assigning any other', () => {
    const message = (name: string) => `there is no global variable '${name}'; known are count, head`;
    assert.throws(() => record().haed, { code: 'ENOENT', message: message('haed') });
    assert.throws(() => Object.assign(record(), { other: 1 }), { code: 'ENOENT', message: message('other') });
  });

  it('is looked at by tools, awaited and asked without harm', async () => {
    const both = named({ them: 1, href: 2 } as Record<string, number>, 'none');
    assert.equal((await both).them, 1);
    assert.match(inspect(both), /them: 1/);
    assert.equal(JSON.stringify(both), '{"them":1,"href":2}');
    assert.deepEqual(['haed' in record(), record().elsewhere], [false, undefined]);
  });
});
