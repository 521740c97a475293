import type { Env } from '../env.ts';

/**
 * What is held where a program may end: at a tail call, and at a load that leaves the program when it fails (Linux:
 * check_resource_leak).
 */
export function checkResources(env: Env, what: string): void {
  const { held } = env.state;
  const objects = held.filter(({ type }) => type === 'ptr');
  for (const { id, insn } of objects) env.say(`Unreleased reference id=${id} alloc_insn=${insn}`);
  if (objects.length > 0) throw env.reject('EINVAL', `${what} would lead to reference leak`);
  if (held.length > 0) throw env.unsupported(`${what} inside a region of the kernel's`);
}
