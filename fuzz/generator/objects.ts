import { type Kind, memory, NUMBERS, type Writer } from './writer.ts';

/**
 * What is acquired and must be given back, and what calls back: iterators, callbacks, ring buffer records, dynptrs, locks,
 * RCU sections, sockets. Pointers that must live over other statements stand at fp-88; iterators at fp-112 and fp-120,
 * dynptrs at fp-160.
 */

const SAVED = '*(u64 *)(r10 - 88)';

/** `r1 = r10; r1 += -112`. */
function address(w: Writer, register: number, off: number): void {
  w.say(`r${register} = r10`, `r${register} += ${off}`);
}

function iterator(w: Writer, depth: number): void {
  if (depth === 0) return;
  const { random } = w;
  const off = depth > 1 ? -112 : -120;
  const top = w.label();
  const end = w.label();
  w.declare('.extern kfunc bpf_iter_num_new : s32 (void *it, s32 start, s32 end)');
  w.declare('.extern kfunc bpf_iter_num_next : void * (void *it)');
  w.declare('.extern kfunc bpf_iter_num_destroy : void (void *it)');
  w.rule(depth > 1 ? 'iterator' : 'iterator, nested');
  address(w, 1, off);
  w.say(
    `r2 = ${random.pick([0, 0, -2])}`,
    `r3 = ${random.chance(70) ? random.pick([3, 10, 48]) : `r${w.number() < 4 ? 7 : w.number()}`}`,
  );
  w.say('call bpf_iter_num_new');
  w.called();
  w.say(`${top}:`);
  const before = new Set(w.numbers);
  address(w, 1, off);
  w.say('call bpf_iter_num_next');
  w.called();
  if (!w.mistake(4)) w.say(`if r0 == 0 goto ${end}`);
  w.say('r0 = *(s32 *)(r0 + 0)');
  w.maybe(() => {
    if (w.has.has('value') && random.chance(40)) {
      const skip = w.label();
      w.say(
        `if r0 > ${random.pick([47, 40, w.mistake(10) ? 48 : 7])} goto ${skip}`,
        'r1 = r8',
        'r1 += r0',
        '*(u8 *)(r1 + 0) = 1',
        `${skip}:`,
      );
    }
    w.statements(random.below(2), 0);
    if (random.chance(20)) w.say(`if r7 == ${random.pick(NUMBERS)} goto ${end}`);
  });
  if (!w.mistake(3)) w.say(`goto ${top}`);
  w.say(`${end}:`);
  w.numbers = before;
  w.forget(0, 1, 2, 3, 4, 5);
  if (!w.mistake(4)) {
    address(w, 1, off);
    w.say('call bpf_iter_num_destroy');
  }
}

/** bpf_loop: the callback gets its round and a place on the caller's stack. */
function loop(w: Writer, depth: number): void {
  if (w.nesting === 0 || depth === 0) return;
  const { random } = w;
  const name = w.label('cb');
  // What many rounds leave on the stack, and is used behind them, would be followed round by round.
  const few = random.chance(60);
  w.rule(few ? 'bpf_loop' : 'bpf_loop of many rounds');
  w.say(`*(u64 *)(r10 - 64) = ${random.pick([0, 1, 7])}`, 'r3 = r10', 'r3 += -64');
  w.say(`r1 = ${few ? random.pick([1, 3, 10]) : random.pick(['1000', 'r7'])}`);
  w.say(`r2 = ${name} ll`, `r4 = ${w.mistake(4) ? 1 : 0}`, 'call 181');
  w.func(`static ${name} : s64 (u32 index, void *ctx)`, [], () => {
    w.say('r7 = r1');
    w.numbers = new Set([7]);
    if (random.chance(60))
      w.say(
        'r0 = *(u64 *)(r2 + 0)',
        `r0 ${random.pick(['+=', '&=', '|='])} ${random.pick([1, 7, 15])}`,
        `*(u64 *)(r2 + ${w.mistake(8) ? 8 : 0}) = r0`,
      );
    w.statements(random.below(2), 0);
    w.say(`r0 = ${w.mistake(5) ? random.pick(['2', 'r7']) : random.pick(['0', '0', '1'])}`, 'exit');
  });
  w.called();
  if (few && w.has.has('value') && random.chance(60)) {
    const skip = w.label();
    w.say(
      'r0 = *(u64 *)(r10 - 64)',
      `if r0 > 40 goto ${skip}`,
      'r1 = r8',
      'r1 += r0',
      '*(u8 *)(r1 + 0) = 1',
      `${skip}:`,
    );
  }
}

function walk(w: Writer): void {
  if (w.nesting === 0) return;
  const { random } = w;
  const name = w.label('cb');
  w.rule('bpf_for_each_map_elem');
  w.say('r1 = values ll', `r2 = ${name} ll`, `r3 = ${random.pick(['0', 'r10'])}`, 'r4 = 0', 'call 164');
  w.func(`static ${name} : s64 (void *map, void *key, void *value, void *ctx)`, ['value'], () => {
    w.say('r8 = r3', `r7 = *(u32 *)(r2 + ${w.mistake(5) ? 4 : 0})`);
    if (w.mistake(5)) w.say('*(u32 *)(r2 + 0) = 1');
    w.numbers = new Set([7]);
    w.statements(1, 0);
    w.say(`r0 = ${w.mistake(5) ? 2 : 0}`, 'exit');
  });
  w.called();
}

function record(w: Writer, depth: number): void {
  const { random } = w;
  const skip = w.label();
  w.declare('.map rb, type=ringbuf, max_entries=4096');
  w.rule('ring buffer record');
  w.say(
    'r1 = rb ll',
    `r2 = ${w.mistake(4) ? `r${w.number() === 1 ? 7 : w.number()}` : 16}`,
    'r3 = 0',
    'call 131',
  );
  w.called();
  if (!w.mistake(3)) w.say(`if r0 == 0 goto ${skip}`);
  w.say(`${SAVED} = r0`);
  w.numbers.delete(0);
  w.maybe(() => {
    if (random.chance(50) && depth > 0) w.statement(0);
    w.say(`r1 = ${SAVED}`, `${memory('r1', w.mistake(5) ? 12 : 8 * random.below(2), 8)} = 5`);
    w.forget(1);
    if (!w.mistake(5)) {
      w.say('r2 = 0', `call ${random.pick([132, 133])}`);
      w.called();
      if (w.mistake(5))
        w.say(`r1 = ${SAVED}`, random.chance(50) ? '*(u8 *)(r1 + 0) = 0' : 'r2 = 0', 'call 132');
    }
  });
  w.say(`${skip}:`);
  w.called();
  w.numbers.delete(0);
}

function dynptr(w: Writer): void {
  const { random } = w;
  const ring = random.chance(40);
  w.rule(ring ? 'dynptr of the ring buffer' : 'dynptr of a map value');
  if (ring) {
    w.declare('.map rb, type=ringbuf, max_entries=4096');
    w.say('r1 = rb ll', 'r2 = 32', 'r3 = 0');
  } else w.say('r1 = r8', `r2 = ${w.mistake(5) ? 50 : 24}`, 'r3 = 0');
  address(w, 4, w.mistake(4) ? -156 : -160);
  w.say(`call ${ring ? 198 : 197}`);
  w.called();
  const skip = w.label();
  switch (random.pick(['read', 'write', 'data', 'overwrite'] as const)) {
    case 'read':
      address(w, 1, -64);
      w.say(`r2 = ${w.mistake(5) ? 80 : 16}`);
      address(w, 3, -160);
      w.say(`r4 = ${w.number() < 6 ? 'r7' : 0}`, 'r5 = 0', 'call 201');
      break;
    case 'write':
      address(w, 1, -160);
      w.say('r2 = 4');
      address(w, 3, -64);
      w.say('r4 = 8', 'r5 = 0', 'call 202');
      break;
    case 'data':
      address(w, 1, -160);
      w.say('r2 = 0', 'r3 = 8', 'call 203');
      if (!w.mistake(6)) w.say(`if r0 == 0 goto ${skip}`);
      w.say(`*(u64 *)(r0 + ${w.mistake(6) ? 4 : 0}) = 7`, `${skip}:`);
      break;
    default:
      if (w.mistake(50)) w.say('*(u64 *)(r10 - 152) = 0');
  }
  w.called();
  w.numbers.delete(0);
  if (!ring || w.mistake(5)) return;
  address(w, 1, -160);
  w.say('r2 = 0', `call ${random.pick([199, 200])}`);
}

const TYPES =
  '.types "struct bpf_spin_lock { unsigned int val; }; struct lv { struct bpf_spin_lock lock; int x; long y; };"';

function lock(w: Writer): void {
  const { random } = w;
  const skip = w.label();
  w.declare(TYPES);
  w.declare('.map locks, type=array, key=u32, value=struct lv, max_entries=2');
  w.rule('spin lock');
  w.say(
    '*(u32 *)(r10 - 8) = 0',
    'r2 = r10',
    'r2 += -8',
    'r1 = locks ll',
    'call 1',
    `if r0 == 0 goto ${skip}`,
    `${SAVED} = r0`,
  );
  w.say('r1 = r0', 'call 93');
  w.called();
  w.numbers.delete(0);
  w.maybe(() => {
    w.say(`r1 = ${SAVED}`, `${memory('r1', w.mistake(6) ? 0 : 4, 4)} = 1`);
    if (w.mistake(10)) w.say('call 7');
    if (random.chance(40))
      w.say(
        `r7 += ${random.pick(NUMBERS)}`,
        `if r7 > 5 goto ${w.mistake(10) ? skip : `${skip}b`}`,
        'r7 = 0',
        `${skip}b:`,
      );
    if (!w.mistake(6)) w.say(`r1 = ${SAVED}`, 'call 94');
  });
  w.say(`${skip}:`);
  w.called();
  w.numbers.delete(0);
}

/** A region that a pair of kfuncs opens and closes. */
function region(w: Writer, depth: number): void {
  const [open, close] = w.random.pick([
    ['bpf_rcu_read_lock', 'bpf_rcu_read_unlock'],
    ['bpf_preempt_disable', 'bpf_preempt_enable'],
  ] as const);
  w.declare(`.extern kfunc ${open}`);
  w.declare(`.extern kfunc ${close}`);
  w.rule(open);
  w.say(`call ${open}`);
  w.called();
  w.numbers.delete(0);
  w.statements(1, Math.max(0, depth - 1));
  if (w.mistake(5)) return;
  w.say(`call ${close}`);
  w.called();
  w.numbers.delete(0);
}

function socket(w: Writer): void {
  const { random } = w;
  const skip = w.label();
  w.rule('socket looked up');
  w.say('*(u64 *)(r10 - 64) = 0', '*(u64 *)(r10 - 56) = 0', 'r1 = r6');
  address(w, 2, -64);
  w.say('r3 = 12', 'r4 = -1', 'r5 = 0', 'call 84');
  if (!w.mistake(4)) w.say(`if r0 == 0 goto ${skip}`);
  w.say(`${SAVED} = r0`);
  w.called();
  w.numbers.delete(0);
  w.maybe(() => {
    w.say(`r3 = *(u32 *)(r0 + ${w.mistake(8) ? 2 : random.pick([0, 4, 16])})`);
    w.numbers.add(3);
    if (random.chance(40)) w.statement(0);
    if (!w.mistake(5)) w.say(`r1 = ${SAVED}`, 'call 86');
    w.called();
    w.numbers.delete(0);
    if (w.mistake(5)) w.say(`r1 = ${SAVED}`, 'r2 = *(u32 *)(r1 + 4)');
  });
  w.say(`${skip}:`);
  w.called();
  w.numbers.delete(0);
}

export const OBJECT_KINDS: readonly Kind[] = [
  { weight: 5, write: iterator },
  { weight: 4, write: loop },
  { weight: 2, write: walk },
  { weight: 3, write: record },
  { weight: 3, needs: ['value'], write: dynptr },
  { weight: 2, needs: ['ctx'], write: lock },
  { weight: 3, write: region },
  { weight: 2, needs: ['ctx'], sections: ['xdp', 'tc'], write: socket },
];
