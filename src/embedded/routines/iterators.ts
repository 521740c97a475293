import { ERRNO } from '../../errors.ts';
import {
  add,
  either,
  get,
  gtS,
  gtU,
  i32,
  i64,
  load32,
  ltS,
  returns,
  seq,
  set,
  store32,
  store64,
  sub,
  when,
} from '../../jit/encode/expressions.ts';
import { TYPE } from '../../jit/encode/opcodes.ts';
import { MAX_LOOPS } from '../helpers/loop.ts';
import type { Routine } from './routine.ts';

/**
 * Iterators over numbers (helpers/iterators.ts), which `bpf_for` and `bpf_repeat` are made of: a call for each round of a loop. They
 * live on the program's stack, which no other CPU sees.
 */

/** struct bpf_iter_num_kern: the number before the next one, and the end. */
const CURRENT = 0;
const END = 4;

/** Parameters. */
const [IT, FROM, TO] = [0, 1, 2];
const ARGS = [
  { register: 1, form: 'low' },
  { register: 2, form: 'low' },
  { register: 3, form: 'low' },
] as const;

const empty = store64(get(IT), i64(0));

export const ITERATOR_ROUTINES: Readonly<Record<string, Routine>> = {
  bpf_iter_num_new: {
    variant: '',
    args: ARGS,
    result: 'low',
    complete: true,
    write: (code) =>
      seq(
        when(gtS(get(FROM), get(TO)), seq(empty, returns(i32(-ERRNO.EINVAL)))),
        when(gtU(sub(get(TO), get(FROM)), i32(MAX_LOOPS)), seq(empty, returns(i32(-ERRNO.E2BIG)))),
        store32(get(IT), sub(get(FROM), i32(1)), CURRENT),
        store32(get(IT), get(TO), END),
        i32(0),
      )(code),
  },
  bpf_iter_num_next: {
    variant: '',
    args: ARGS.slice(0, 1),
    result: 'pointer',
    complete: true,
    write(code) {
      const next = code.local(TYPE.i32);
      seq(
        set(next, add(load32(get(IT), CURRENT), i32(1))),
        either(
          TYPE.i32,
          ltS(get(next), load32(get(IT), END)),
          seq(store32(get(IT), get(next), CURRENT), get(IT)),
          seq(empty, i32(0)),
        ),
      )(code);
    },
  },
  bpf_iter_num_destroy: {
    variant: '',
    args: ARGS.slice(0, 1),
    result: 'none',
    complete: true,
    write: empty,
  },
};
