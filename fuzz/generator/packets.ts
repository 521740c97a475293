import { access, type Kind, memory, type Section, type Writer } from './writer.ts';

/** Contexts and packets. */

const PACKET: Partial<Record<Section, readonly [data: number, end: number, meta: number]>> = {
  xdp: [0, 4, 8],
  tc: [76, 80, 140],
  'cgroup_skb/egress': [76, 80, 0],
};

/** Offsets of the context that numbers may be read from. */
const FIELDS: Readonly<Record<Section, readonly number[]>> = {
  syscall: [0, 4, 8, 16, 24, 40, 63],
  xdp: [12, 16],
  tc: [0, 4, 8, 16, 20, 32, 40, 48, 52, 68, 152],
  socket: [0, 4, 16, 36, 48, 56, 68],
  'cgroup_skb/egress': [0, 4, 8, 16, 32, 40, 48, 68],
  'raw_tp/sys_enter': [0, 8, 16],
};

function context(w: Writer): void {
  const { random, section } = w;
  w.rule(`context of ${section}`);
  const word = section === 'raw_tp/sys_enter' ? 8 : 4;
  const size =
    section === 'syscall' ? random.pick([1, 2, 4, 8]) : w.mistake(6) ? random.pick([1, 2, 8]) : word;
  const field = w.mistake(5) ? 4 * random.below(50) : random.pick(FIELDS[section]);
  const off = section === 'syscall' && !w.mistake(5) ? field - (field % size) : field;
  if (random.chance(75)) {
    const dst = w.target();
    w.say(`r${dst} = ${memory('r6', off, size)}`);
    w.numbers.add(dst);
    return;
  }
  w.rule(`context of ${section}: store`);
  const at = section === 'syscall' ? off : random.pick([48, 52, 60, w.mistake(10) ? 0 : 48]);
  if (section !== 'xdp' && section !== 'raw_tp/sys_enter')
    w.say(`${memory('r6', at, size)} = ${size < 8 ? 'w' : 'r'}${w.number()}`);
}

/** r2 the packet's start or its metadata, r3 its end; then r2 moves on. */
function load(w: Writer): boolean {
  const place = PACKET[w.section];
  if (place === undefined) return false;
  const [data, end] = place;
  w.say(`r2 = ${memory('r6', data, 4)}`, `r3 = ${memory('r6', end, 4)}`);
  w.forget(2, 3);
  return true;
}

/** A comparison after which `length` bytes from r2 on are inside, or not quite. */
function check(w: Writer, length: number, skip: string): void {
  const { random } = w;
  w.say('r4 = r2', `r4 += ${length}`);
  w.forget(4);
  const [rule, line] = random.pick([
    ['>', `if r4 > r3 goto ${skip}`],
    ['>', `if r4 > r3 goto ${skip}`],
    ['>=', `if r4 >= r3 goto ${skip}`],
    ['end <', `if r3 < r4 goto ${skip}`],
    ['end <=', `if r3 <= r4 goto ${skip}`],
    ...(w.mistake(25) ? ([['the wrong way', `if r4 <= r3 goto ${skip}`]] as const) : []),
  ] as const);
  w.rule(`packet compared by ${rule}`);
  w.say(line);
}

function packet(w: Writer): void {
  const { random } = w;
  if (!load(w)) return;
  const skip = w.label();
  const length = random.pick([4, 14, 20]);
  if (random.chance(40)) {
    const by = w.number();
    w.rule('packet: variable offset');
    w.say(
      `r5 = r${by === 2 || by === 3 ? 7 : by}`,
      `r5 &= ${random.pick([15, 255, 0xffff, w.mistake(20) ? 0x1ffff : 63])}`,
      'r2 += r5',
    );
    w.forget(5);
  }
  check(w, length, skip);
  w.maybe(() => touch(w, length));
  w.say(`${skip}:`);
}

/** Accesses inside what was compared, or one byte outside. */
function touch(w: Writer, length: number): void {
  const { random } = w;
  for (let i = random.below(2); i >= 0; i--) {
    const size = random.pick([1, 2, 4]);
    const off = w.mistake(6) ? length - size + 1 : random.below(length - size + 1);
    w.forget(2, 3, 4);
    const dst = random.pick([0, 5, 7]);
    if (random.chance(70)) {
      w.rule('packet: load');
      w.say(`r${dst} = ${memory('r2', off, size)}`);
      w.numbers.add(dst);
    } else {
      w.rule('packet: store');
      w.say(`${memory('r2', off, size)} = 1`);
    }
  }
}

/** A length field in the packet says where the next header begins, as with VLAN tags and IP options. */
function nested(w: Writer): void {
  const { random } = w;
  if (!load(w)) return;
  const skip = w.label();
  w.rule('packet: header behind a header');
  check(w, 14, skip);
  w.maybe(() => {
    w.say(`r5 = ${memory('r2', random.below(13), 1)}`, `r5 &= ${random.pick([15, 60, 255])}`);
    if (random.chance(50)) w.say('r5 <<= 2');
    w.say('r2 += r5');
    if (random.chance(60)) w.say('r2 += 14');
    if (!w.mistake(8)) check(w, 8, skip);
    w.forget(5);
    touch(w, 8);
  });
  w.say(`${skip}:`);
}

/** Two pointers of one base: what is compared through one holds for the other. */
function copies(w: Writer): void {
  const { random } = w;
  if (!load(w)) return;
  const skip = w.label();
  w.rule('packet: copies of a pointer');
  w.say('r5 = r2', `r5 += ${random.pick([0, 4, 8])}`);
  check(w, 16, skip);
  w.maybe(() => {
    w.forget(5);
    w.say(`r0 = ${memory('r5', random.pick([0, 4, w.mistake(10) ? 16 : 1]), 4)}`);
    w.numbers.add(0);
  });
  w.say(`${skip}:`);
}

/** The packet may move: pointers into it are void afterwards. */
function pull(w: Writer): void {
  if (!load(w)) return;
  const skip = w.label();
  w.rule('packet changed by a helper');
  w.say('r0 = r2', 'r0 += 8', `if r0 > r3 goto ${skip}`);
  w.forget(0);
  w.maybe(() => {
    w.say('r1 = r6', 'r2 = 8', `call ${w.section === 'xdp' ? 44 : 39}`);
    w.called();
    if (w.mistake(10)) w.say('r0 = *(u8 *)(r2 + 0)');
  });
  w.say(`${skip}:`);
  w.called();
  w.numbers.delete(0);
}

function metadata(w: Writer): void {
  const place = PACKET[w.section];
  if (place === undefined || place[2] === 0) return;
  const skip = w.label();
  w.rule('packet metadata');
  w.say(`r2 = ${memory('r6', place[2], 4)}`, `r3 = ${memory('r6', place[0], 4)}`);
  w.forget(2, 3);
  check(w, 4, skip);
  w.maybe(() => access(w, 'packet metadata', 'r2', w.mistake(10) ? 1 : 0, 4));
  w.say(`${skip}:`);
}

/** A packet as the memory that a helper reads. */
function asKey(w: Writer): void {
  if (!load(w)) return;
  const skip = w.label();
  w.rule('packet: key of a map');
  check(w, w.mistake(15) ? 3 : 4, skip);
  w.maybe(() => {
    w.say('r1 = values ll', 'call 1');
    w.called();
  });
  w.say(`${skip}:`, 'r0 = 0');
  w.called();
}

const SECTIONS: readonly Section[] = ['xdp', 'tc', 'cgroup_skb/egress'];

export const PACKET_KINDS: readonly Kind[] = [
  { weight: 5, needs: ['ctx'], write: context },
  ...(
    [
      { weight: 8, write: packet },
      { weight: 5, write: nested },
      { weight: 3, write: copies },
      { weight: 2, write: pull },
      { weight: 2, write: metadata },
      { weight: 2, write: asKey },
    ] satisfies Kind[]
  ).map((kind): Kind => ({ ...kind, needs: ['ctx'], sections: SECTIONS })),
];
