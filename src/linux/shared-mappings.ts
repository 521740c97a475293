import { readFileSync } from 'node:fs';
import { BpfError, ERRNO } from '../errors.ts';
import { Fd, linuxError, Mapping } from './fd.ts';
import { syscall } from './ffi.ts';

/**
 * Mappings of arenas. Linux lets a process map an arena once, but it may be opened often, and by several threads, none of
 * which may unmap it under another. Within a thread users are counted. Between threads, which share no JavaScript, the
 * count is a page of memory that all find because it has a fixed address: a record for each thread and arena. A thread that
 * ended without closing leaves its record; the next to use the arena inherits the mapping.
 */

/** Tried in this order; where no heap, stack, library or arena is likely to be, in 47 and in 39 bits of address. */
const PLACES = [0x6bf3_0000_0000, 0x2b_f300_0000];
const NAME = 'arena mappings';
const MFD_CLOEXEC = 1;

/** Doubles: map id, thread, address, length. A record without map id is free. */
const RECORD = 4;
const [ID, THREAD, ADDRESS, LENGTH] = [0, 1, 2, 3];
const RECORDS = 1 << 15;
/** Before the records: the lock (a thread id, or 0), and how many records have ever been used. */
const HEADER_BYTES = 64;
const [LOCK, USED] = [0, 1];
const BYTES = HEADER_BYTES + RECORDS * RECORD * 8;

interface Registry {
  readonly header: Int32Array;
  readonly records: Float64Array;
  readonly thread: number;
}

let registry: Registry | undefined;

/** What this thread uses, by map id. */
const used = new Map<number, { mapping: Mapping; users: number }>();

/**
 * The arena's mapping in this process: the one that is there, or a new one. To be given back by {@link releaseMapping}.
 * @param map makes a new one.
 */
export function acquireMapping(id: number, map: () => Mapping): Mapping {
  const known = used.get(id);
  if (known !== undefined) {
    known.users++;
    return known.mapping;
  }
  const shared = open();
  const mapping = locked(shared, () => {
    const { records } = shared;
    const found = ofArena(shared, id);
    const heir = found.find((at) => !isAlive(records[at + THREAD]));
    const own = heir ?? unused(shared);
    const made =
      found.length === 0 ? map() : Mapping.existing(records[found[0] + ADDRESS], records[found[0] + LENGTH]);
    records.set([id, shared.thread, made.address, made.length], own);
    return made;
  });
  used.set(id, { mapping, users: 1 });
  return mapping;
}

/** Gives a use of the arena's mapping back; the last in this process unmaps it. */
export function releaseMapping(id: number): void {
  const entry = used.get(id);
  if (entry === undefined || --entry.users > 0) return;
  used.delete(id);
  const shared = open();
  locked(shared, () => {
    const { records, thread } = shared;
    const found = ofArena(shared, id);
    const others = found.some((at) => records[at + THREAD] !== thread && isAlive(records[at + THREAD]));
    for (const at of found) if (records[at + THREAD] === thread || !others) records[at + ID] = 0;
    entry.mapping.close(!others);
  });
}

/** Where the records of an arena are. */
function ofArena({ header, records }: Registry, id: number): number[] {
  const found: number[] = [];
  for (let at = 0; at < header[USED] * RECORD; at += RECORD) if (records[at + ID] === id) found.push(at);
  return found;
}

function unused({ header, records }: Registry): number {
  for (let at = 0; at < header[USED] * RECORD; at += RECORD) if (records[at + ID] === 0) return at;
  if (header[USED] === RECORDS)
    throw new BpfError('ENOMEM', `this process has ${RECORDS} arenas mapped: close some`);
  return header[USED]++ * RECORD;
}

/** Whether a thread of this process runs still. */
function isAlive(thread: number): boolean {
  return syscall('tgkill', process.pid, thread, 0) === 0;
}

/** Does `work` while no other thread looks at the records. A worker can be terminated at any time, also while it does. */
function locked<Result>({ header, thread }: Registry, work: () => Result): Result {
  for (;;) {
    const holder = Atomics.compareExchange(header, LOCK, 0, thread);
    if (holder === 0) break;
    if (!isAlive(holder) && Atomics.compareExchange(header, LOCK, holder, thread) === holder) break;
  }
  try {
    return work();
  } finally {
    Atomics.store(header, LOCK, 0);
  }
}

function open(): Registry {
  if (registry !== undefined) return registry;
  const name = new TextEncoder().encode(`${NAME}\0`);
  const number = syscall('memfd_create', name, MFD_CLOEXEC);
  if (number < 0) throw linuxError(number, 'making memory that threads share');
  const fd = new Fd(number, NAME);
  try {
    syscall('ftruncate', fd.number, BYTES);
    const { buffer } = place(fd.number);
    registry = {
      header: new Int32Array(buffer, 0, HEADER_BYTES / 4),
      records: new Float64Array(buffer, HEADER_BYTES),
      thread: syscall('gettid'),
    };
    return registry;
  } finally {
    fd.close();
  }
}

/** Maps the memory at the first place that is free, or finds it there. The kernel sees to it that one thread is the first. */
function place(fd: number): Mapping {
  for (const address of PLACES) {
    const made = Mapping.map(fd, { length: BYTES, address });
    if (typeof made !== 'number') return made;
    if (made === -ERRNO.EEXIST && isOurs(address)) return Mapping.existing(address, BYTES);
  }
  throw new BpfError('ENOMEM', 'there is no room for memory that threads share');
}

/** Whether another thread of this process put the records at an address. */
function isOurs(address: number): boolean {
  const line = new RegExp(`^0*${address.toString(16)}-.*memfd:${NAME}`, 'm');
  return line.test(readFileSync('/proc/self/maps', 'latin1'));
}
