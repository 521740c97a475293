import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Btf, BtfBuilder } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { annotationsOf, missingMessage } from './annotations.ts';

/** BTF of a function `f` with these tags. */
function tagged(...tags: string[]): Btf {
  const types = new BtfBuilder();
  const func = types.func('f', types.int('int', 4), []);
  for (const tag of tags) types.declTag(`comment:${tag}`, func);
  types.declTag('arg:arena', func, 0);
  return types.build();
}

const read = (...tags: string[]) => annotationsOf(tagged(...tags), 'f');

describe('annotations', () => {
  it('are none for a function without test tags, and for one that does not exist', () => {
    assert.equal(read(), undefined);
    assert.equal(annotationsOf(tagged('test_expect_success'), 'g'), undefined);
  });

  it('say what is expected, and what a run must return', () => {
    const found = read('test_expect_success', 'test_retval=-7', 'test_description=words');
    assert.deepEqual([found?.expected, found?.retval, found?.description], ['success', -7, 'words']);
  });

  it('know the selftests’ names for return values', () => {
    const cases = [
      ['INT_MIN', -(2 ** 31)],
      ['POINTER_VALUE', 0xbadcafe],
      ['TEST_DATA_LEN', 64],
      ['0xffffffff', -1],
      ['(42)', 42],
    ] as const;
    for (const [text, value] of cases) assert.equal(read(`test_retval=${text}`)?.retval, value, text);
  });

  it('join flags, by name or number', () => {
    assert.equal(read('test_prog_flags=BPF_F_STRICT_ALIGNMENT', 'test_prog_flags=8')?.flags, 9);
  });

  it('put messages in the order of the compiler’s counter, which BTF does not keep', () => {
    const found = read(
      'test_expect_msg=12=second',
      'test_expect_not_msg=13=never',
      'test_expect_msg=2=first',
    );
    assert.deepEqual(
      found?.messages.map(({ text, negative }) => [text, negative]),
      [
        ['first', false],
        ['second', false],
        ['never', true],
      ],
    );
  });

  it('name what they ask for that is not covered', () => {
    const found = read('test_expect_failure_unpriv', 'test_jited=3=x', 'test_auxiliary', 'test_arch=X86_64');
    assert.deepEqual(found?.notCovered, ['failure_unpriv', 'jited']);
    assert.deepEqual(
      [found?.auxiliary, found?.architectures, found?.expected],
      [true, ['X86_64'], undefined],
    );
  });

  it('are refused when they make no sense', () => {
    const isOurs = (error: unknown) => error instanceof BpfError && error.code === 'EINVAL';
    for (const tag of ['test_retval=many', 'test_prog_flags=BPF_F_NOT_THERE', 'test_expect_msg=1={{(}}']) {
      assert.throws(() => read(tag), isOurs, tag);
    }
  });
});

describe('expected messages', () => {
  const messages = (...tags: string[]) =>
    read(...tags.map((tag, i) => tag.replace('=', `=${i}=`)))?.messages ?? [];
  const LOG = '0: r0 = 1\n1: r1 = *(u64 *)(r2 +8)\nR2 invalid mem access\n';

  it('must be found one behind the other', () => {
    assert.equal(
      missingMessage(LOG, messages('test_expect_msg=r0 = 1', 'test_expect_msg=R2 invalid')),
      undefined,
    );
    const turned = messages('test_expect_msg=R2 invalid', 'test_expect_msg=r0 = 1');
    assert.equal(missingMessage(LOG, turned), "the log lacks 'r0 = 1'");
  });

  it('are text, but for patterns in double braces', () => {
    assert.equal(missingMessage(LOG, messages('test_expect_msg=*(u64 *)(r{{[0-9]}} +8)')), undefined);
    assert.equal(missingMessage(LOG, messages('test_expect_msg=r. = 1')), "the log lacks 'r. = 1'");
  });

  it('of the negative kind must not stand between their neighbours', () => {
    const between = messages('test_expect_msg=r0 = 1', 'test_expect_not_msg=u64', 'test_expect_msg=invalid');
    assert.equal(missingMessage(LOG, between), "the log has 'u64' before 'invalid'");
    const behind = messages('test_expect_msg=invalid', 'test_expect_not_msg=u64');
    assert.equal(missingMessage(LOG, behind), undefined);
    assert.equal(missingMessage(LOG, messages('test_expect_not_msg=invalid')), "the log has 'invalid'");
  });
});
