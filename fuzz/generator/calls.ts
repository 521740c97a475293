import { type Kind, memory, NUMBERS, type Writer } from './writer.ts';

/** Calls: helpers that tell of the world, helpers with memory, the program's own functions. */

function simple(w: Writer): void {
  // Not 8: what is known of it depends on how many CPUs the machine has.
  const id = w.random.pick([5, 7, 7]);
  w.rule(`helper ${id}`);
  w.say(`call ${id}`);
  w.called();
}

/** Memory of constant or variable size for a helper, at its register, with the size in the one behind. */
function sized(w: Writer, register: number, zeroAllowed: boolean): void {
  const { random } = w;
  const size = register + 1;
  const kind = random.pick(['constant', 'constant', 'masked', 'compared', 'value'] as const);
  w.rule(`helper memory, ${kind} size`);
  const inValue = kind === 'value' && w.has.has('value');
  w.say(inValue ? `r${register} = r8` : `r${register} = r10`);
  if (!inValue) w.say(`r${register} += -64`);
  const room = inValue ? 48 : 64;
  const n = w.number();
  w.say(
    `r${size} = ${kind === 'constant' ? (w.mistake(8) ? random.pick([0, 65, -1]) : 1 + random.below(room)) : `r${n === register || n === size ? 7 : n}`}`,
  );
  if (kind === 'constant') return;
  if (kind === 'masked')
    w.say(
      `r${size} &= ${w.mistake(10) ? 127 : 31}`,
      ...(zeroAllowed || w.mistake(30) ? [] : [`r${size} += 1`]),
    );
  else {
    const skip = w.label();
    w.say(`if r${size} < ${room + (w.mistake(10) ? 2 : 1)} goto ${skip}`, `r${size} = 1`, `${skip}:`);
    if (!zeroAllowed) w.say(`r${size} |= 1`);
  }
}

/** Helpers that fill or read memory, in any section that has them. */
function withMemory(w: Writer): void {
  const { random } = w;
  const name = random.pick([
    'trace_printk',
    'get_current_comm',
    'probe_read_kernel',
    'csum_diff',
    'skb_load_bytes',
    'ringbuf_output',
  ] as const);
  w.rule(`helper ${name}`);
  switch (name) {
    case 'trace_printk':
      w.say('*(u64 *)(r10 - 64) = 0x6c6c6568');
      sized(w, 1, false);
      w.say('call 6');
      break;
    case 'get_current_comm':
      sized(w, 1, false);
      w.say('call 16');
      break;
    case 'probe_read_kernel':
      sized(w, 1, true);
      w.say(`r3 = r${w.random.pick([10, w.has.has('ctx') ? 6 : 10])}`, 'call 113');
      break;
    case 'csum_diff':
      sized(w, 1, true);
      sized(w, 3, true);
      w.say('r5 = 0', 'call 28');
      break;
    case 'skb_load_bytes':
      sized(w, 3, false);
      w.say(`r1 = r${w.has.has('ctx') ? 6 : 10}`, `r2 = ${random.pick(NUMBERS)}`, 'call 26');
      break;
    default:
      w.declare('.map rb, type=ringbuf, max_entries=4096');
      sized(w, 2, true);
      w.say('r1 = rb ll', 'r4 = 0', 'call 130');
  }
  w.called();
}

/** A static function that gets everything its caller has, and does statements of its own. */
function staticCall(w: Writer): void {
  if (w.nesting === 0) return;
  const { random } = w;
  const name = w.label('sub');
  const has = [...w.has];
  w.rule(`static call, depth ${3 - w.nesting}`);
  w.say(w.has.has('ctx') ? 'r1 = r6' : 'r1 = 0', `r2 = r${w.number() <= 5 ? 7 : w.number()}`);
  if (w.has.has('value')) w.say('r3 = r8');
  if (w.has.has('arena')) w.say('r4 = r9');
  const argument = w.mistake(30) ? 'r10' : 'r7';
  w.say(`r5 = ${argument}`, `call ${name}`);
  w.func(`static ${name} : u64 (u64 a, u64 b, u64 c, u64 d, u64 e)`, has, () => {
    if (w.has.has('ctx')) w.say('r6 = r1');
    w.say('r7 = r2');
    if (w.has.has('value')) w.say('r8 = r3');
    if (w.has.has('arena')) w.say('r9 = r4');
    w.numbers = new Set([7]);
    if (argument === 'r10') {
      w.rule("static call: the caller's stack");
      w.say(
        random.pick([
          `${memory('r5', -16, 8)} = r7`,
          `r0 = ${memory('r5', -16, 8)}`,
          `${memory('r5', -20, 4)} = w7`,
          w.mistake(20) ? '*(u64 *)(r5 - 24) = r10' : 'r0 = r5',
        ]),
      );
    }
    w.statements(1 + random.below(3), 1);
    w.say(`r0 = ${w.mistake(4) ? 'r10' : `r${w.number()}`}`, 'exit');
  });
  w.called();
}

/** A global function is verified by itself, for whatever its prototype allows. */
export function globalCall(w: Writer): void {
  if (w.nesting < 2) return;
  const { random } = w;
  const name = w.label('gsub');
  const second = random.pick([
    ...(w.has.has('arena') ? (['arena', 'arena'] as const) : []),
    'number',
    'memory',
  ] as const);
  w.rule(`global call: ${second}`);
  const n = w.number();
  w.say(`r1 = ${w.mistake(4) ? 'r10' : `r${n}`}`);
  const type = { arena: 'void __arena *', number: 'u64 ', memory: 'u64 *' }[second];
  if (second === 'arena') w.say(`r2 = r${w.mistake(10) ? 10 : random.pick([9, 7])}`);
  else if (second === 'number') w.say(`r2 = ${random.pick(NUMBERS)}`);
  else {
    const what = random.pick(['stack', 'value', 'null'] as const);
    if (what === 'value' && w.has.has('value')) w.say('r2 = r8');
    else if (what === 'null') w.say('r2 = 0');
    else w.say('r2 = r10', `r2 += ${w.mistake(8) ? -4 : -64}`);
  }
  w.say(`call ${name}`);
  w.func(`${name} : u64 (u64 a, ${type}b)`, second === 'arena' ? ['arena'] : [], () => {
    w.say('r7 = r1');
    if (second === 'arena')
      w.say(w.mistake(8) ? 'r9 = r2' : 'r9 = addr_space_cast(r2, 0, 1)', 'r1 = arena ll');
    w.numbers = new Set([7]);
    if (second === 'memory') {
      const skip = w.label();
      if (!w.mistake(8)) w.say(`if r2 == 0 goto ${skip}`);
      w.say(
        `r0 = *(u64 *)(r2 + ${w.mistake(6) ? 4 : 0})`,
        random.chance(50) ? '*(u32 *)(r2 + 4) = 5' : 'r0 += 1',
        `${skip}:`,
      );
    }
    w.statements(random.below(3), 1);
    w.say(`r0 = ${w.mistake(4) ? 'r10' : 'r7'}`, 'exit');
  });
  w.called();
}

export const CALL_KINDS: readonly Kind[] = [
  { weight: 5, write: simple },
  { weight: 5, write: withMemory },
  { weight: 5, write: staticCall },
  { weight: 3, write: globalCall },
];
