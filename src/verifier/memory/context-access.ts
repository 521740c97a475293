import type { AttachType } from '../../object/program-types.ts';
import type { ContextField, ContextRules } from '../context.ts';
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
  const { context } = env.rules;
  const refuse = () => env.reject('EACCES', `invalid bpf_context access off=${off} size=${size}`);
  const field = fieldAt(context, env.program.attachType, off, size, access);
  // A pointer has no sign to extend.
  if (field === undefined || (field !== 'buffer' && signed && field.gives !== undefined)) throw refuse();
  env.facts.noteContext(off + size);
  if (field === 'buffer') return UNKNOWN_SCALAR;
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

/** The field that an access is of, or the buffer that the context is; undefined where there may be none such. */
export function fieldAt(
  { fields, buffer, readOnly }: ContextRules,
  attachType: AttachType | undefined,
  off: number,
  size: number,
  access: Access,
): ContextField | 'buffer' | undefined {
  if (off < 0 || off % size !== 0) return undefined;
  if (buffer !== undefined) return off >= buffer || (readOnly && access === 'write') ? undefined : 'buffer';
  return fields.find((each) => allows(each, off, size, access, attachType));
}

/** Whether a field may be accessed so. Fields may lie over each other, for accesses of different sizes. */
function allows(
  field: ContextField,
  off: number,
  size: number,
  access: Access,
  attachType: AttachType | undefined,
): boolean {
  if (off < field.off || off + size > field.off + field.size) return false;
  if (field.attachTypes !== undefined && !(attachType && field.attachTypes.includes(attachType)))
    return false;
  const whole = size === field.size;
  return access === 'write'
    ? field.writable === true && (whole || field.parts === true)
    : whole || field.whole !== true;
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
