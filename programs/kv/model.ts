import { type Command, OPTION, type Result, type Status } from './commands.ts';

/**
 * What the store has to answer, for the stress tool. KvModel is for a client that has keys of its own: it knows each answer. Where memory
 * is tight an item may be gone: an answer is right, too, if it would be for a key that is not there, and is counted. Shared is for several
 * clients of the same keys: values say who wrote them, when, and for which key.
 */

export interface ModelSettings {
  readonly prefix: string;
  readonly keys: number;
  /** Bytes of the largest value. */
  readonly largest: number;
  readonly random: (limit: number) => number;
  readonly fail: (problem: string) => void;
  readonly now: number;
}

interface Item {
  value: string;
  flags: number;
  expires: number;
  cas: bigint;
}

interface Prediction {
  readonly status: Status;
  readonly value?: string;
  /** The item afterwards; its cas is the answer's where the command gave it a new one. */
  readonly item: Item | undefined;
  readonly newCas?: boolean;
}

const decimal = /^[ \t-\r]*\+?([0-9]+)([ \t-\r].*)?$/s;

/** A value that says what it belongs to, of so many bytes. */
function valueFor(key: string, version: number, bytes: number): string {
  const text = `${key}#${version};`;
  return text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes);
}

/** What incr or decr makes of a value: the digits and the new value; undefined where it is no number. */
function counted(value: string, by: bigint): { digits: string; value: string } | undefined {
  const number = decimal.exec(value)?.[1];
  if (number === undefined || BigInt(number) >= 1n << 64n) return undefined;
  const sum = BigInt(number) + by;
  const digits = String(by < 0n && sum < 0n ? 0n : BigInt.asUintN(64, sum));
  const fits = digits.length <= value.length && value.length <= 24;
  return { digits, value: fits ? digits.padEnd(value.length) : digits };
}

/** What the store has to do with a command, where `item` is what it has of the key. */
function predict(command: Command, item: Item | undefined): Prediction {
  const { op, value = '', flags = 0, expires = 0, options = 0, cas = 0n, number = 0n } = command;
  const fresh = { value, flags, expires, cas: 0n };
  const stored: Prediction = { status: 'ok', item: fresh, newCas: true };
  switch (op) {
    case 'get':
      if (item === undefined) return { status: 'not found', item };
      return {
        status: 'ok',
        value: item.value,
        item: options & OPTION.touch ? { ...item, expires } : item,
      };
    case 'set':
      if (!(options & OPTION.ifCas)) return stored;
      if (item === undefined) return { status: 'not found', item };
      return item.cas === cas ? stored : { status: 'exists', item };
    case 'add':
      return item === undefined ? stored : { status: 'not stored', item };
    case 'replace':
      return item === undefined ? { status: 'not stored', item } : stored;
    case 'append':
    case 'prepend': {
      if (item === undefined) return options & OPTION.vivify ? stored : { status: 'not stored', item };
      const both = op === 'append' ? item.value + value : value + item.value;
      return { status: 'ok', item: { ...item, value: both }, newCas: true };
    }
    case 'incr':
    case 'decr': {
      if (item === undefined) return { status: 'not found', item };
      const result = counted(item.value, op === 'incr' ? number : -number);
      if (result === undefined) return { status: 'not a number', item };
      return { status: 'ok', value: result.digits, item: { ...item, value: result.value }, newCas: true };
    }
    case 'touch':
      if (item === undefined) return { status: 'not found', item };
      return { status: 'ok', item: { ...item, expires } };
    case 'delete':
      return { status: item === undefined ? 'not found' : 'ok', item: undefined };
    default:
      throw new Error(`the model knows no ${op}`);
  }
}

/** Whether an answer is what was predicted. */
function agrees(result: Result, { status, value, item, newCas }: Prediction, isGet: boolean): boolean {
  if (result.status !== status) return false;
  if (value !== undefined && result.value !== value) return false;
  if (newCas) {
    const bytes = (value ?? item?.value)?.length;
    return result.valueBytes === bytes && result.flags === item?.flags && result.expires === item.expires;
  }
  return (
    !isGet ||
    item === undefined ||
    (result.flags === item.flags && result.expires === item.expires && result.cas === item.cas)
  );
}

/** A client that has keys of its own. */
export class KvModel {
  now: number;
  /** Items that should have been there. */
  lost = 0;
  /** Items that a command wrote over without saying whether they were there, since any was evicted. */
  overwritten = 0;
  noMemory = 0;
  readonly #settings: ModelSettings;
  readonly #items = new Map<string, Item>();
  #version = 0;

  constructor(settings: ModelSettings) {
    this.#settings = settings;
    this.now = settings.now;
  }

  #value(key: string): string {
    const { random, largest } = this.#settings;
    const version = this.#version++;
    const kind = random(100);
    if (kind < 15) return String(random(2) ? random(1000) : 2 ** 32 * random(2 ** 32));
    const limit = kind < 90 ? 400 : kind < 99 ? 5_000 : largest;
    return valueFor(key, version, random(Math.min(limit, largest)));
  }

  /** The next random command. */
  next(): Command {
    const { random, prefix, keys } = this.#settings;
    // Some keys are asked for more often than others.
    const key = `${prefix}${random(3) ? random(keys >> 3) : random(keys)}`;
    const expires = random(8) ? 0 : this.now + random(30);
    const kind = random(100);
    if (kind < 45) return { op: 'get', key, options: OPTION.value };
    if (kind < 47) return { op: 'get', key, options: OPTION.value | OPTION.touch, expires };
    if (kind < 69) return { op: 'set', key, value: this.#value(key), flags: random(2 ** 32), expires };
    if (kind < 74) return { op: 'add', key, value: this.#value(key), flags: random(9), expires };
    if (kind < 78) return { op: 'replace', key, value: this.#value(key), flags: random(9), expires };
    if (kind < 83)
      return {
        op: random(2) ? 'append' : 'prepend',
        key,
        value: valueFor(key, this.#version++, random(40)),
        options: random(4) ? 0 : OPTION.vivify,
      };
    if (kind < 89) return { op: random(3) ? 'incr' : 'decr', key, number: BigInt(random(1000)) };
    if (kind < 91) return { op: 'touch', key, expires };
    if (kind < 94) {
      const cas = random(4) ? (this.#items.get(key)?.cas ?? 1n) : 1n;
      return { op: 'set', key, value: this.#value(key), options: OPTION.ifCas, cas };
    }
    return { op: 'delete', key };
  }

  /** Asks for all that should be there. */
  all(): Command[] {
    return [...this.#items.keys()].map((key) => ({ op: 'get', key, options: OPTION.value }));
  }

  flush(): void {
    this.#items.clear();
  }

  answered(command: Command, result: Result): void {
    const { key, op } = command;
    const isGet = op === 'get';
    let item = this.#items.get(key);
    if (item !== undefined && item.expires !== 0 && item.expires <= this.now) item = undefined;
    if (result.status === 'no memory') {
      this.noMemory++;
      if (op === 'set') this.#items.delete(key);
      return;
    }
    let prediction = predict(command, item);
    if (!agrees(result, prediction, isGet)) {
      const missing = predict(command, undefined);
      if (item === undefined || !agrees(result, missing, isGet)) {
        const short = JSON.stringify({
          ...command,
          number: String(command.number),
          cas: String(command.cas),
        });
        this.#settings.fail(
          `${short.slice(0, 200)}: ${result.status} ${result.value?.slice(0, 60)}, not ` +
            `${prediction.status} ${prediction.value?.slice(0, 60)}, where ${item?.value.slice(0, 60)} was`,
        );
        return;
      }
      this.lost++;
      prediction = missing;
    } else if (item !== undefined && op === 'set' && !((command.options ?? 0) & OPTION.ifCas)) {
      this.overwritten++;
    }
    if (prediction.item === undefined) this.#items.delete(key);
    else {
      if (prediction.newCas) prediction.item.cas = result.cas;
      this.#items.set(key, prediction.item);
    }
  }
}

export interface SharedSettings {
  readonly cpus: number;
  readonly keys: number;
  readonly largest: number;
  readonly random: (limit: number) => number;
  readonly fail: (problem: string) => void;
}

/** One client of shared keys. */
class SharedClient {
  readonly #settings: SharedSettings;
  readonly #cpu: number;
  /** For each key, the newest version seen of each client. */
  readonly #seen = new Map<string, number[]>();
  /** What was added to each counter, and appended to each log. */
  readonly added = new Map<string, bigint>();
  readonly appended = new Map<string, string[]>();
  #version = 1;

  constructor(settings: SharedSettings, cpu: number) {
    this.#settings = settings;
    this.#cpu = cpu;
  }

  next(): Command {
    const { random, keys, largest } = this.#settings;
    const number = random(keys);
    const kind = random(100);
    if (kind < 10) return { op: 'incr', key: `counter${number}`, number: BigInt(1 + random(1000)) };
    if (kind < 12) {
      const value = `${this.#cpu}.${this.#version++},`;
      return { op: 'append', key: `log${number}`, value, options: OPTION.vivify };
    }
    const key = `shared${number}`;
    if (kind < 60) return { op: 'get', key, options: OPTION.value };
    if (kind < 65) return { op: 'delete', key };
    const head = `${key}:${this.#cpu}:${this.#version++}:`;
    const bytes = head.length + 2 + random(random(8) ? 200 : largest);
    const value = `${head}${bytes}|`.padEnd(bytes, `${head.slice(-9)}`);
    return { op: kind < 95 ? 'set' : kind < 98 ? 'add' : 'replace', key, value };
  }

  answered({ op, key, value, number = 0n }: Command, result: Result): void {
    const { fail } = this.#settings;
    switch (op) {
      case 'incr':
        if (result.status === 'ok') this.added.set(key, (this.added.get(key) ?? 0n) + number);
        else fail(`incr of ${key}: ${result.status}`);
        return;
      case 'append': {
        const texts = this.appended.get(key) ?? [];
        if (result.status === 'ok') texts.push(value as string);
        // A log that is full begins anew nowhere: it just ends.
        else if (result.status !== 'too large') fail(`append to ${key}: ${result.status}`);
        this.appended.set(key, texts);
        return;
      }
      case 'get':
        if (result.status === 'ok') this.#looked(key, result.value as string);
        else if (result.status !== 'not found') fail(`get of ${key}: ${result.status}`);
        return;
      default:
        if (result.status === 'ok' && value !== undefined) this.#looked(key, value);
        else if (!['ok', 'not found', 'not stored'].includes(result.status))
          fail(`${op} of ${key}: ${result.status}`);
    }
  }

  /** A value that was read or written: whole, this key's, and of no client older than one seen before. */
  #looked(key: string, value: string): void {
    const { fail, cpus } = this.#settings;
    const [whose, cpu, version, rest = ''] = value.split(':', 4);
    const head = `${whose}:${cpu}:${version}:`;
    const bytes = Number.parseInt(rest, 10);
    const whole = `${head}${bytes}|`.padEnd(bytes, head.slice(-9));
    if (whose !== key || value !== whole) {
      fail(`${key} has ${value.length} bytes, ${value.slice(0, 60)}…`);
      return;
    }
    const seen = this.#seen.get(key) ?? Array.from({ length: cpus }, () => 0);
    if (Number(version) < seen[Number(cpu)])
      fail(`${key} is CPU ${cpu}'s version ${version} again, after ${seen[Number(cpu)]}`);
    seen[Number(cpu)] = Number(version);
    this.#seen.set(key, seen);
  }
}

/** Clients of the same keys. */
export class Shared {
  readonly clients: readonly SharedClient[];
  readonly #settings: SharedSettings;

  constructor(settings: SharedSettings) {
    this.#settings = settings;
    this.clients = Array.from({ length: settings.cpus }, (_, cpu) => new SharedClient(settings, cpu));
  }

  /** What must be there before anything runs: counters. */
  begin(): Command[] {
    return Array.from({ length: this.#settings.keys }, (_, i) => ({
      op: 'set',
      key: `counter${i}`,
      value: '0',
    }));
  }

  /** Holds counters and logs against what was added to them. */
  check(run: (commands: readonly Command[]) => Result[]): void {
    const { keys, fail } = this.#settings;
    for (let i = 0; i < keys; i++) {
      const get = (key: string) => run([{ op: 'get', key, options: OPTION.value }])[0].value;
      const added = this.clients.reduce((sum, { added }) => sum + (added.get(`counter${i}`) ?? 0n), 0n);
      const counter = get(`counter${i}`) ?? '';
      if (BigInt(counter.trim() || '0') !== added) fail(`counter ${i} is ${counter}, not ${added}`);
      const log = (get(`log${i}`) ?? '').split(',').filter((text) => text !== '');
      for (const [cpu, { appended }] of this.clients.entries()) {
        const mine = log.filter((text) => text.startsWith(`${cpu}.`)).map((text) => `${text},`);
        if (mine.join('') !== (appended.get(`log${i}`) ?? []).join(''))
          fail(`log ${i} has not what CPU ${cpu} appended`);
      }
    }
  }
}
