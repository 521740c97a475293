import type { Env } from '../env.ts';
import { typeName } from '../state/print.ts';
import { MAYBE_NULL, pointer, type Reg, UNKNOWN_SCALAR } from '../state/reg.ts';
import type { Access } from './access.ts';
import { tnumText } from './stack.ts';

/** Loads and stores of the context (Linux: check_ctx_access). @returns what a load gives. */
export function accessContext(
  env: Env,
  base: number,
  off: number,
  size: number,
  access: Access,
  signed: boolean,
): Reg {
  checkUnmoved(env, base);
  const { fields, buffer, readOnly } = env.rules.context;
  const refuse = () => env.reject('EACCES', `invalid bpf_context access off=${off} size=${size}`);
  if (off < 0 || off % size !== 0) throw refuse();
  if (buffer !== undefined) {
    if (off >= buffer || (readOnly && access === 'write')) throw refuse();
    env.facts.noteContext(off + size);
    return UNKNOWN_SCALAR;
  }
  const field = fields.find((each) => off >= each.off && off + size <= each.off + each.size);
  if (field === undefined || (field.attachType ?? env.program.attachType) !== env.program.attachType)
    throw refuse();
  const whole = size === field.size;
  const writes = field.writable === true && (whole || field.parts === true);
  const reads = whole || field.whole !== true;
  // A pointer has no sign to extend.
  if (access === 'write' ? !writes : !reads || (signed && field.gives !== undefined)) throw refuse();
  env.facts.noteContext(off + size);
  const special = access === 'write' ? field.stores : field.gives && size === 4 ? 'pointer' : undefined;
  if (special !== undefined) env.facts.of(env.at).contextField = special;
  if (field.gives === undefined) return UNKNOWN_SCALAR;
  const { flags = 0, of, says } = field;
  if (says !== undefined) env.say(says);
  return pointer(field.gives, {
    flags,
    of,
    id: (flags & MAYBE_NULL) !== 0 && access === 'read' ? env.newId() : 0,
  });
}

/**
 * A pointer that leads to where its object begins (Linux: check_ptr_off_reg). @param fixedAllowed whether it may also lead
 * to a known place inside.
 */
export function checkUnmoved(env: Env, number: number, fixedAllowed = false): void {
  const reg = env.reg(number);
  const { off, scalar } = reg;
  const type = typeName(reg);
  if (off < 0) throw env.reject('EACCES', `negative offset ${type} ptr R${number} off=${off} disallowed`);
  if (off !== 0 && !fixedAllowed)
    throw env.reject('EACCES', `dereference of modified ${type} ptr R${number} off=${off} disallowed`);
  if (!scalar.isConst() || scalar.smaxNumber() !== 0)
    throw env.reject('EACCES', `variable ${type} access var_off=${tnumText(scalar)} disallowed`);
}
