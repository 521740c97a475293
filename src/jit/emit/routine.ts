import { Code } from '../encode/code.ts';
import type { Signature } from '../encode/module.ts';
import { I64_TRUNC_SAT_F64_S, MISC_PREFIX, OP } from '../encode/opcodes.ts';
import type { ArgumentForm, ImportedCall, RoutineCall } from '../target.ts';
import { ARGUMENT_TYPE, RESULT_TYPES } from './call.ts';

/**
 * Functions that the kernel writes in WebAssembly (target.ts, {@link RoutineCall}): their place in a module, and the way from
 * one to the JavaScript function that does the same where a routine cannot go on.
 */

/** @param importOf the index of an imported function. */
export function routineFunction(
  call: RoutineCall,
  importOf: (name: string) => number,
): { signature: Signature; code: Code; names: string[] } {
  const { args, result, otherwise } = call;
  const code = new Code(args.length);
  call.write(code, () => {
    if (otherwise === undefined) throw new TypeError(`${call.name} calls an import, and has none`);
    for (const { register, form, value = 0 } of otherwise.args) {
      if (form === 'constant') code.i32(value);
      else pushArgument(code, call, register, form);
    }
    code.call(importOf(otherwise.name));
    convertResult(code, otherwise, result);
  });
  const signature = { params: args.map(({ form }) => ARGUMENT_TYPE[form]), results: RESULT_TYPES[result] };
  return { signature, code, names: args.map(({ register }) => `r${register}`) };
}

/** Pushes a parameter of the routine, which is a register, in the form that the import takes. */
function pushArgument(code: Code, { name, args }: RoutineCall, register: number, form: ArgumentForm): void {
  const parameter = args.findIndex((each) => each.register === register);
  if (parameter < 0) throw new TypeError(`${name} does not get r${register}, which its import takes`);
  code.get(parameter);
  const has = args[parameter].form;
  if (has === form) return;
  if (has === 'wide' && form === 'low') code.op(OP.i32_wrap_i64);
  else if (has === 'wide' && form === 'double') code.op(OP.f64_convert_i64_u);
  else throw new TypeError(`${name} gets r${register} as ${has}, its import as ${form}`);
}

function convertResult(code: Code, { name, result }: ImportedCall, wanted: RoutineCall['result']): void {
  if (result === wanted) return;
  if (result !== 'double' || wanted !== 'wide') throw new TypeError(`${name} gives ${result}, not ${wanted}`);
  code.op(MISC_PREFIX);
  code.op(I64_TRUNC_SAT_F64_S);
}
