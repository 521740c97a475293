import { ERRNO } from '../../errors.ts';
import type { Code } from '../../jit/encode/code.ts';
import {
  add,
  and,
  block,
  br,
  brIf,
  drop,
  type Expression,
  either,
  eq,
  extendS,
  get,
  gtS,
  gtU,
  gtU64,
  i32,
  i64,
  type Local,
  load8,
  load32,
  loop,
  ltU,
  mul,
  ne,
  not,
  returns,
  seq,
  set,
  shl,
  shrU,
  store32,
  store64,
  sub,
  when,
  wrap,
  xor,
} from '../../jit/encode/expressions.ts';
import { TYPE } from '../../jit/encode/opcodes.ts';
import { BPF_EXIST, BPF_NOEXIST } from '../../object/map-flags.ts';
import { HASH_LAYOUT } from '../maps/hash-layout.ts';
import type { HashTable } from '../maps/hash-table.ts';
import { copyBytes, whenSame } from './bytes.ts';
import { FLAGS, KEY, MAP_ARGS, type Routine, VALUE } from './routine.ts';
import { type Sharing, sharingOf } from './sharing.ts';

/**
 * Lookup, update and delete in hash maps (maps/hash-table.ts, whose layout and rules these follow step by step). All that is the
 * same for a map is a constant in its code: offsets, sizes, masks, and the key's words, which are hashed and compared without a loop.
 */

const L = HASH_LAYOUT;
/** Bytes of the largest key that is written out. */
const LARGEST_KEY = 64;

/** The routine for a helper on a hash map, by the helper's name; undefined where the map's values or keys are not simple. */
export function hashRoutine(helper: string, map: HashTable): Routine | undefined {
  if (map.keySize > LARGEST_KEY) return undefined;
  const variant = `hash_${map.id}`;
  // What the kernel looks after in values is the JavaScript's matter; a lookup gives a pointer only.
  const isPlain = map.valueFields.fields.length === 0;
  switch (helper) {
    case 'map_lookup_elem':
      return {
        variant,
        args: MAP_ARGS.key,
        result: 'pointer',
        complete: true,
        write: (code) => new Writer(code, map).lookup(),
      };
    case 'map_update_elem':
      if (!isPlain) return undefined;
      return {
        variant,
        args: MAP_ARGS.update,
        result: 'wide',
        write: (code, otherwise) => new Writer(code, map).update(otherwise),
      };
    case 'map_delete_elem':
      if (!isPlain) return undefined;
      return {
        variant,
        args: MAP_ARGS.key,
        result: 'wide',
        write: (code, otherwise) => new Writer(code, map).remove(otherwise),
      };
    default:
      return undefined;
  }
}

class Writer {
  readonly #code: Code;
  readonly #map: HashTable;
  readonly #layout: HashTable['layout'];
  readonly #sharing: Sharing;
  readonly #hash: Local;
  /** The element that was found, 0 for none, and where it is. */
  readonly #element: Local;
  readonly #at: Local;

  constructor(code: Code, map: HashTable) {
    this.#code = code;
    this.#map = map;
    this.#layout = map.layout;
    this.#sharing = sharingOf(map.layout.cpus);
    [this.#hash, this.#element, this.#at] = [this.#local(), this.#local(), this.#local()];
  }

  lookup(): void {
    const at = get(this.#at);
    const used = when(not(load32(at, L.REFERENCED)), store32(at, i32(1), L.REFERENCED));
    const found = this.#value(this.#element, this.#at);
    seq(
      this.#setHash(),
      this.#find(),
      either(TYPE.i32, get(this.#element), this.#map.lru ? seq(used, found) : found, i32(0)),
    )(this.#code);
  }

  update(otherwise: Expression): void {
    const { perCpu } = this.#map;
    const flags = wrap(get(FLAGS));
    const fresh = this.#local();
    const place = this.#local();
    const result = this.#local();
    const copyTo = (element: Local, at: Local): Expression =>
      perCpu
        ? seq(set(place, this.#value(element, at)), copyBytes(get(place), 0, get(VALUE), this.#map.valueSize))
        : copyBytes(get(at), L.VALUE, get(VALUE), this.#map.valueSize);
    const put = seq(
      set(place, this.#address(fresh)),
      copyBytes(get(place), this.#layout.keyOffset, get(KEY), this.#map.keySize),
      store32(get(place), get(this.#hash), L.HASH),
      store32(get(place), i32(0), L.REFERENCED),
      perCpu ? this.#zeroValues(fresh) : seq(),
      perCpu ? copyTo(fresh, place) : copyBytes(get(place), L.VALUE, get(VALUE), this.#map.valueSize),
      this.#link(fresh),
    );
    const spare = seq(
      set(fresh, load32(this.#perCpu(L.CPU_SPARE))),
      when(not(get(fresh)), set(fresh, add(i32(this.#map.maxEntries + 1), this.#sharing.cpu))),
    );
    const replace = seq(
      spare,
      put,
      this.#unlink(place),
      store32(this.#perCpu(L.CPU_SPARE), get(this.#element)),
    );
    const fail = (errno: number, end: Parameters<typeof br>[0]) => seq(set(result, i32(-errno)), br(end));
    seq(
      when(gtU64(get(FLAGS), i64(BPF_EXIST)), returns(otherwise)),
      this.#setHash(),
      this.#lock(otherwise),
      this.#find(),
      block((end) =>
        when(
          get(this.#element),
          seq(
            when(eq(flags, i32(BPF_NOEXIST)), fail(ERRNO.EEXIST, end)),
            perCpu ? copyTo(this.#element, this.#at) : replace,
          ),
          seq(
            when(eq(flags, i32(BPF_EXIST)), fail(ERRNO.ENOENT, end)),
            this.#take(fresh),
            when(not(get(fresh)), seq(this.#unlock(), returns(otherwise))),
            put,
          ),
        ),
      ),
      this.#unlock(),
      extendS(get(result)),
    )(this.#code);
  }

  remove(otherwise: Expression): void {
    const scratch = this.#local();
    const list = () => this.#perCpu(L.CPU_LOCK);
    const free = this.#perCpu(L.CPU_FREE);
    seq(
      this.#setHash(),
      this.#lock(otherwise),
      this.#find(),
      when(not(get(this.#element)), seq(this.#unlock(), returns(i64(-ERRNO.ENOENT)))),
      when(this.#sharing.tryLock(list()), seq(), seq(this.#unlock(), returns(otherwise))),
      this.#unlink(scratch),
      store32(get(this.#at), load32(free), L.HASH),
      store32(free, get(this.#element)),
      this.#sharing.unlock(list()),
      this.#unlock(),
      i64(0),
    )(this.#code);
  }

  #local(): Local {
    return this.#code.local(TYPE.i32);
  }

  /** The hash of the key, as HashTable computes it. */
  #setHash(): Expression {
    const { keySize } = this.#map;
    const hash = this.#hash;
    const mix = (part: Expression, by = 0x01000193) => set(hash, mul(xor(get(hash), part), i32(by)));
    const fold = (bits: number) => xor(get(hash), shrU(get(hash), i32(bits)));
    const steps: Expression[] = [set(hash, i32(0x811c9dc5))];
    let at = 0;
    for (; at + 4 <= keySize; at += 4) steps.push(mix(load32(get(KEY), at)), set(hash, fold(15)));
    for (; at < keySize; at++) steps.push(mix(load8(get(KEY), at)));
    steps.push(mix(shrU(get(hash), i32(15)), 0x2c1b3c6d), set(hash, fold(12)));
    return seq(...steps);
  }

  #bucket(): Expression {
    const { buckets, mask } = this.#layout;
    return add(i32(buckets), shl(and(get(this.#hash), i32(mask)), i32(2)));
  }

  /** What ends the list of the key's bucket: ~ its number. */
  #end(): Expression {
    const { bucketWord, mask } = this.#layout;
    return sub(i32(~bucketWord), and(get(this.#hash), i32(mask)));
  }

  /** Sets element and address to what has the key; the element to 0 when there is none. */
  #find(): Expression {
    const [element, at] = [this.#element, this.#at];
    const { keyOffset } = this.#layout;
    return block((found) =>
      seq(
        loop((again) =>
          seq(
            // Atomic, so that it is read anew.
            set(element, this.#sharing.load(this.#bucket())),
            loop((next) =>
              when(
                gtS(get(element), i32(0)),
                seq(
                  set(at, this.#address(element)),
                  when(
                    eq(load32(get(at), L.HASH), get(this.#hash)),
                    whenSame(get(KEY), get(at), keyOffset, this.#map.keySize, br(found)),
                  ),
                  set(element, load32(get(at), L.NEXT)),
                  br(next),
                ),
              ),
            ),
            // Another bucket's end: the element that led there has moved to it.
            when(get(element), brIf(again, ne(get(element), this.#end()))),
          ),
        ),
        set(element, i32(0)),
      ),
    );
  }

  #address(element: Local): Expression {
    const { elements, stride } = this.#layout;
    return add(i32(elements), mul(get(element), i32(stride)));
  }

  /** Where this CPU's value of an element at an address is. */
  #value(element: Local, at: Local): Expression {
    if (!this.#map.perCpu) return add(get(at), i32(L.VALUE));
    const { values, valueStride, cpus } = this.#layout;
    const index = add(mul(get(element), i32(cpus)), this.#sharing.cpu);
    return add(i32(values - cpus * valueStride), mul(index, i32(valueStride)));
  }

  #zeroValues(element: Local): Expression {
    const { values, valueStride, cpus } = this.#layout;
    const at = this.#local();
    const end = this.#local();
    const bytes = cpus * valueStride;
    return seq(
      set(at, add(i32(values - bytes), mul(get(element), i32(bytes)))),
      set(end, add(get(at), i32(bytes))),
      loop((again) =>
        seq(store64(get(at), i64(0)), set(at, add(get(at), i32(8))), brIf(again, ltU(get(at), get(end)))),
      ),
    );
  }

  /** A word that this CPU has in the control words. */
  #perCpu(word: number): Expression {
    const first = this.#layout.control + 4 * (L.CONTROL_WORDS + word);
    return add(i32(first), mul(this.#sharing.cpu, i32(4 * L.CPU_WORDS)));
  }

  #lockWord(): Expression {
    const { locks, lockMask } = this.#layout;
    return add(i32(locks), shl(and(get(this.#hash), i32(lockMask)), i32(2)));
  }

  #lock(otherwise: Expression): Expression {
    return when(this.#sharing.tryLock(this.#lockWord()), seq(), returns(otherwise));
  }

  #unlock(): Expression {
    return this.#sharing.unlock(this.#lockWord());
  }

  /** Published by its last step. */
  #link(element: Local): Expression {
    const first = this.#local();
    const address = this.#local();
    return seq(
      set(address, this.#address(element)),
      set(first, load32(this.#bucket())),
      store32(get(address), either(TYPE.i32, get(first), get(first), this.#end()), L.NEXT),
      store32(get(address), i32(1), L.STATE),
      this.#sharing.store(this.#bucket(), get(element)),
    );
  }

  /** Takes the element that was found out of its bucket. @param before a local that it uses. */
  #unlink(before: Local): Expression {
    const element = get(this.#element);
    const at = get(this.#at);
    const inside = seq(
      set(before, this.#address(before)),
      loop((again) =>
        when(
          ne(load32(get(before), L.NEXT), element),
          seq(set(before, load32(get(before), L.NEXT)), set(before, this.#address(before)), br(again)),
        ),
      ),
      this.#sharing.store(add(get(before), i32(L.NEXT)), load32(at, L.NEXT)),
    );
    return seq(
      store32(at, i32(0), L.STATE),
      set(before, load32(this.#bucket())),
      when(eq(get(before), element), this.#sharing.store(this.#bucket(), load32(at, L.NEXT)), inside),
    );
  }

  /** An element that is free: from this CPU's list, or never used; 0 where others would have to be asked. */
  #take(fresh: Local): Expression {
    const used = i32(this.#layout.control + 4 * L.USED);
    const most = i32(this.#map.maxEntries);
    const free = this.#perCpu(L.CPU_FREE);
    const list = this.#perCpu(L.CPU_LOCK);
    const pop = seq(
      set(fresh, load32(free)),
      when(get(fresh), store32(free, load32(this.#address(fresh), L.HASH))),
      this.#sharing.unlock(list),
    );
    const first = seq(
      set(fresh, add(this.#sharing.add(used, i32(1)), i32(1))),
      when(gtU(get(fresh), most), seq(drop(this.#sharing.add(used, i32(-1))), set(fresh, i32(0)))),
    );
    return seq(
      set(fresh, i32(0)),
      when(load32(free), when(this.#sharing.tryLock(list), pop)),
      when(not(get(fresh)), when(ltU(load32(used), most), first)),
    );
  }
}
