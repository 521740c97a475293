import type { Env } from '../env.ts';
import { isGlobal } from '../input.ts';

/**
 * The function that makes the program's result when an exception leaves it: the entry function's tag `exception_callback:`
 * names it (Linux: bpf_find_exception_callback_insn_off).
 *
 * @returns its number; undefined when the result is what was thrown.
 */
export function findExceptionCallback(env: Env): number | undefined {
  const { btf } = env.program;
  const [main] = env.subprograms;
  if (btf === undefined || !main.type) return undefined;
  const tags = btf.declTags(main.type).filter((tag) => tag.startsWith(TAG));
  if (tags.length === 0) return undefined;
  if (tags.length > 1)
    throw env.reject('EEXIST', 'multiple exception callback tags for main subprog', undefined);
  const name = tags[0].slice(TAG.length);
  const id = btf.idOf(name, 'func');
  const refuse = (problem: string) => env.reject('EINVAL', problem, undefined);
  if (id === undefined) {
    const problem = `exception callback '${name}' could not be found in BTF`;
    throw env.reject('ENOENT', problem, undefined);
  }
  const found = env.subprograms.findIndex(({ type }) => type === id);
  if (found >= 0 ? !isGlobal(env.program, env.subprograms[found]) : false)
    throw refuse(`exception callback '${name}' must have global linkage`);
  if (found < 0) throw refuse('exception callback type id not found in func_info');
  if (found === 0) throw refuse('invalid exception callback insn_off in func_info: 0');
  return found;
}

const TAG = 'exception_callback:';
