import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../../errors.ts';
import { kconfigValue } from '../kconfig.ts';
import { refusal } from './link.ts';

const PROGRAM = { name: 'p', type: 'xdp', fdNumber: -1 } as const;

/** What is said of each errno. */
function said(errno: number, config: readonly string[] = []): string {
  const reasons = { EBUSY: 'somebody else is there', EPERM: 'you may not' };
  return refusal(-errno, PROGRAM, 'x', { reasons, config }).message;
}

test('a refusal gives the errno, and the reason that the kind of link has for it', () => {
  assert.equal(said(ERRNO.EBUSY), "program 'p' cannot be attached to x: EBUSY, somebody else is there");
  assert.equal(said(ERRNO.EPERM), "program 'p' cannot be attached to x: EPERM, you may not");
  assert.equal(said(ERRNO.ERANGE), "program 'p' cannot be attached to x: ERANGE");
});

const skip =
  kconfigValue('CONFIG_BPF_SYSCALL') === undefined && "not run: the kernel's configuration cannot be read";

test('an option that the kernel was built without is the reason', { skip }, () => {
  const config = ['CONFIG_BPF_SYSCALL', 'CONFIG_BPF_ARENA_NO_SUCH_OPTION'];
  assert.match(
    said(ERRNO.EINVAL, config),
    /: EINVAL, this kernel was built without CONFIG_BPF_ARENA_NO_SUCH_OPTION$/,
  );
  assert.match(said(ERRNO.EBUSY, ['CONFIG_BPF_SYSCALL']), /somebody else/);
});

test('a missing permission is the reason, whatever else is missing', () => {
  assert.match(said(ERRNO.EPERM, ['CONFIG_BPF_ARENA_NO_SUCH_OPTION']), /EPERM, you may not$/);
});
