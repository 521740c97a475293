import type { Code } from '../../jit/encode/code.ts';
import {
  add,
  add64,
  and,
  block,
  br,
  brIf,
  drop,
  type Expression,
  eq,
  extendU,
  get,
  gtU,
  gtU64,
  i32,
  i64,
  type Local,
  load32,
  load64,
  loop,
  ltS,
  ne64,
  not,
  notify,
  or,
  returns,
  seq,
  set,
  shl,
  shrU,
  store32,
  sub,
  when,
  wrap,
  xor,
} from '../../jit/encode/expressions.ts';
import { TYPE } from '../../jit/encode/opcodes.ts';
import { BUSY_BIT, DISCARD_BIT, RECORD_HEADER } from '../../record-ring.ts';
import { BPF_MAP_LAYOUT } from '../btf.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../layout.ts';
import {
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  MAX_RECORD,
  RING_LAYOUT,
  type RingBufferMap,
} from '../maps/ring-buffer.ts';
import { copySized } from './bytes.ts';
import type { Routine } from './routine.ts';
import { type Sharing, sharingOf } from './sharing.ts';

/**
 * Reserving, committing and sending records (maps/ring-buffer.ts, whose steps these are). A reader in user space is woken from here,
 * too: WebAssembly can notify who waits for a word.
 */

const [MAP, R2, R3, R4] = [0, 1, 2, 3];
const WIDE_RECORD = [
  { register: 1, form: 'low' },
  { register: 2, form: 'wide' },
] as const;

/** The routine for a helper on a ring buffer whose map is known. */
export function ringRoutine(helper: string, map: RingBufferMap): Routine | undefined {
  const variant = `ring_${map.id}`;
  switch (helper) {
    case 'ringbuf_reserve':
      return {
        variant,
        args: [...WIDE_RECORD, { register: 3, form: 'wide' }],
        result: 'pointer',
        write: (code, otherwise) => reserve(code, map, otherwise),
      };
    case 'ringbuf_output':
      return {
        variant,
        args: [
          { register: 1, form: 'low' },
          { register: 2, form: 'low' },
          { register: 3, form: 'low' },
          { register: 4, form: 'wide' },
        ],
        result: 'wide',
        write: (code, otherwise) => output(code, map, otherwise),
      };
    default:
      return undefined;
  }
}

/** The routine that commits a record, which leads to its ring. */
export function commitRoutine(discard: boolean, cpus: number): Routine {
  const write = (code: Code) => {
    const [at, base, size] = [1, 2, 3].map(() => code.local(TYPE.i32));
    const header = load32(add(get(base), i32(4 * RING_LAYOUT.MAP)));
    seq(
      set(at, sub(get(MAP), i32(RECORD_HEADER))),
      set(base, shl(sub(shrU(get(at), i32(PAGE_SHIFT)), load32(get(at), 4)), i32(PAGE_SHIFT))),
      set(size, load32(header, BPF_MAP_LAYOUT.max_entries)),
      commit(at, get(base), get(size), wrap(get(R2)), discard, sharingOf(cpus)),
    )(code);
  };
  return { variant: '', args: WIDE_RECORD, result: 'none', complete: true, write };
}

function reserve(code: Code, map: RingBufferMap, otherwise: Expression): void {
  const size = code.local(TYPE.i32);
  const record = code.local(TYPE.i32);
  seq(
    when(ne64(get(R3), i64(0)), returns(i32(0))),
    when(gtU64(get(R2), i64(MAX_RECORD)), returns(i32(0))),
    set(size, wrap(get(R2))),
    take(code, map, size, record, otherwise),
    get(record),
  )(code);
}

function output(code: Code, map: RingBufferMap, otherwise: Expression): void {
  const [record, at] = [1, 2].map(() => code.local(TYPE.i32));
  seq(
    when(gtU64(get(R4), i64(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)), returns(otherwise)),
    when(gtU(get(R3), i32(MAX_RECORD)), returns(otherwise)),
    take(code, map, R3, record, otherwise),
    // Full: the function says so, unless there is room by now.
    when(not(get(record)), returns(otherwise)),
    copySized(record, 0, R2, R3, at),
    set(at, sub(get(record), i32(RECORD_HEADER))),
    commit(at, i32(map.base), i32(map.size), wrap(get(R4)), false, sharingOf(map.cpus)),
    i64(0),
  )(code);
}

/** RingBufferMap.reserve: sets `record` to a new one of `size` bytes, at most MAX_RECORD; to 0 when there is no room. */
function take(code: Code, map: RingBufferMap, size: Local, record: Local, otherwise: Expression): Expression {
  const [length, consumer, start, pending, end, at] = [1, 2, 3, 4, 5, 6].map(() => code.local(TYPE.i32));
  const { base, size: ring } = map;
  const sharing = sharingOf(map.cpus);
  const data = base + RING_LAYOUT.DATA * PAGE_SIZE;
  const control = (word: number) => i32(base + 4 * word);
  const producer = i32(base + RING_LAYOUT.PRODUCER * PAGE_SIZE);
  const place = (position: Local) => add(i32(data), and(get(position), i32(ring - 1)));
  const padded = (bytes: Expression) => add(and(add(bytes, i32(7)), i32(~7)), i32(RECORD_HEADER));
  const pass = block((done) =>
    loop((again) =>
      seq(
        brIf(done, eq(get(pending), get(start))),
        set(at, load32(place(pending))),
        brIf(done, ltS(get(at), i32(0))),
        set(pending, add(get(pending), padded(and(get(at), i32(~DISCARD_BIT))))),
        br(again),
      ),
    ),
  );
  const isFull = or(
    gtU(sub(get(end), get(consumer)), i32(ring - 1)),
    gtU(sub(get(end), get(pending)), i32(ring - 1)),
  );
  return seq(
    set(record, i32(0)),
    set(length, padded(get(size))),
    when(
      not(gtU(get(length), i32(ring))),
      seq(
        set(consumer, sharing.load(i32(base + RING_LAYOUT.CONSUMER * PAGE_SIZE))),
        when(sharing.tryLock(control(RING_LAYOUT.LOCK)), seq(), returns(otherwise)),
        set(start, load32(producer)),
        set(pending, load32(control(RING_LAYOUT.PENDING))),
        pass,
        store32(control(RING_LAYOUT.PENDING), get(pending)),
        set(end, add(get(start), get(length))),
        when(
          not(isFull),
          seq(
            set(at, place(start)),
            store32(get(at), or(get(size), i32(BUSY_BIT))),
            store32(get(at), shrU(sub(get(at), i32(base)), i32(PAGE_SHIFT)), 4),
            sharing.store64(producer, add64(load64(producer), extendU(get(length)))),
            set(record, add(get(at), i32(RECORD_HEADER))),
          ),
        ),
        sharing.unlock(control(RING_LAYOUT.LOCK)),
      ),
    ),
  );
}

/** RingBufferMap.commit. @param at local with the offset of the record's header. @param base the ring's control page. */
function commit(
  at: Local,
  base: Expression,
  size: Expression,
  flags: Expression,
  discard: boolean,
  sharing: Sharing,
): Expression {
  const consumer = sharing.load(add(base, i32(RING_LAYOUT.CONSUMER * PAGE_SIZE)));
  const offset = sub(sub(get(at), base), i32(RING_LAYOUT.DATA * PAGE_SIZE));
  const header = xor(load32(get(at)), i32(BUSY_BIT));
  const wake = () => add(base, i32(4 * RING_LAYOUT.WAKE));
  const isNext = eq(and(consumer, sub(size, i32(1))), offset);
  const isWanted = or(
    and(flags, i32(BPF_RB_FORCE_WAKEUP)),
    and(isNext, not(and(flags, i32(BPF_RB_NO_WAKEUP)))),
  );
  return seq(
    sharing.exchange(get(at), discard ? or(header, i32(DISCARD_BIT)) : header),
    when(isWanted, seq(drop(sharing.add(wake(), i32(1))), drop(notify(wake(), i32(-1))))),
  );
}
