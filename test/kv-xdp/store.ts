import assert from 'node:assert/strict';
import { type Command, Port } from '../../programs/kv/commands.ts';
import { type Kernel, type LoadedObject, open } from '../../src/index.ts';
import { addressOf, syscall } from '../../src/linux/ffi.ts';
import { COMMANDS, encodeStruct } from '../../src/linux/layouts.ts';
import { LinuxProgram } from '../../src/linux/program.ts';
import { PORT } from './frames.ts';
import type { Stored } from './judge.ts';

/** A store with items, its accelerator, and what a judge has to know of it. */

const FILE = new URL('../../programs/kv/kv.bpf.o', import.meta.url);
export const NOW = 1_000_000;
/** kv_xdp.grow: where packets grow, first or only. */
export const GROW = { front: 0, end: 1, 'front only': 2 } as const;
export type Grow = keyof typeof GROW;
/** One of them for each number from 0 on. */
export const growOf = (number: number): Grow => (['front', 'end', 'front only'] as const)[number % 3];

export const XDP_PASS = 2;
export const XDP_TX = 3;

/** enum kv_xdp_count. */
export const COUNTS = [
  'hit',
  'other',
  'headers',
  'request',
  'miss',
  'busy',
  'large',
  'room',
  'keys',
  'bytes',
] as const;

export interface Verdict {
  readonly retval: number;
  readonly packet: Uint8Array;
}

const text = (length: number, seed: number) =>
  Buffer.from(Array.from({ length }, (_, i) => 32 + ((i * 7 + seed * 13) % 95))).toString('latin1');

interface Item {
  readonly value: string;
  readonly flags: number;
  readonly expires?: number;
  /** It may not be answered with. */
  readonly gone?: true;
}

/** What is in the store for tests. */
export const ITEMS: ReadonlyMap<string, Item> = new Map<string, Item>([
  ['k', { value: 'v', flags: 0 }],
  ['key', { value: 'the value', flags: 0 }],
  ['empty', { value: '', flags: 9 }],
  ['eight-by', { value: text(8, 1), flags: 1 }],
  ['flagged', { value: text(20, 2), flags: 10 }],
  ['flags', { value: text(20, 3), flags: 0xffffffff }],
  ['bench:000000000000000000000042', { value: text(100, 4), flags: 0 }],
  ['thousand', { value: text(1000, 5), flags: 0 }],
  ['most', { value: text(1366, 6), flags: 0 }],
  ['more', { value: text(1367, 7), flags: 0 }],
  ['much', { value: text(50_000, 8), flags: 0 }],
  ['lines', { value: 'END\r\nVALUE key 0 1\r\n', flags: 0 }],
  ['\u00e9\u00ff', { value: text(99, 9), flags: 3 }],
  ['lives', { value: text(5, 10), flags: 0, expires: NOW + 1 }],
  ['expired', { value: text(5, 11), flags: 0, expires: NOW, gone: true }],
  ...[1, 2, 7, 9, 15, 16, 17, 31, 63, 64, 65, 127, 248, 249, 250].map(
    (length, i) =>
      [
        text(length, i).replaceAll(' ', '_'),
        { value: text((length * 11) % 300, length), flags: i % 12 },
      ] as const,
  ),
]);

export class AcceleratedStore implements Disposable {
  readonly loaded: LoadedObject;
  readonly port: Port;
  readonly #run: (frame: Uint8Array) => Verdict;
  #grow: Grow = 'front';

  private constructor(loaded: LoadedObject) {
    this.loaded = loaded;
    this.port = new Port(loaded);
    const program = loaded.programs.kv_xdp_answer;
    this.#run =
      program instanceof LinuxProgram
        ? testRuns(program)
        : (frame) => {
            const { retval, dataOut } = program.run({ data: frame });
            return { retval, packet: dataOut as Uint8Array };
          };
  }

  /** Opens a store that has {@link ITEMS}. */
  static async open(kernel: Kernel, budget = 2048): Promise<AcceleratedStore> {
    const object = await open(FILE);
    Object.assign(object.globals.kv_settings, {
      budget_pages: budget,
      ports: 1,
      buffer_bytes: 1 << 17,
      seed: 7,
    });
    object.programs.kv_xdp_answer.autoload = true;
    object.maps.arena.maxEntries = 2 * budget;
    const loaded = await object.load(kernel);
    loaded.globals.kv.now = NOW;
    assert.equal(loaded.programs.kv_start.run().retval | 0, 0);
    const ctx = new Uint8Array(Uint32Array.of(0, 64).buffer);
    assert.equal(loaded.programs.kv_xdp_start.run({ ctx }).retval | 0, 0);
    loaded.globals.kv_xdp.port = (PORT >> 8) | ((PORT & 0xff) << 8);
    const store = new AcceleratedStore(loaded);
    const commands = [...ITEMS].map(
      ([key, { value, flags, expires = 0 }]): Command => ({ op: 'set', key, value, flags, expires }),
    );
    for (const { status } of store.port.run(commands)) assert.equal(status, 'ok');
    return store;
  }

  /** Has the accelerator see a frame. */
  run(frame: Uint8Array, grow: Grow = 'front'): Verdict {
    if (grow !== this.#grow) this.loaded.globals.kv_xdp.grow = GROW[grow];
    this.#grow = grow;
    return this.#run(frame);
  }

  /** What was counted on all CPUs, by {@link COUNTS}. */
  counts(): Record<(typeof COUNTS)[number], number> {
    const { cpu, cpus } = this.loaded.globals.kv_xdp;
    const { arena } = this.loaded;
    assert.ok(arena);
    const view = new DataView(
      arena.bytes.buffer,
      arena.bytes.byteOffset + Number(BigInt(cpu) - arena.userVmStart),
    );
    const sums = COUNTS.map((_, i) => {
      let sum = 0n;
      for (let n = 0; n < cpus; n++) sum += view.getBigUint64(4096 * n + 8 * i, true);
      return Number(sum);
    });
    return Object.fromEntries(COUNTS.map((name, i) => [name, sums[i]])) as ReturnType<
      AcceleratedStore['counts']
    >;
  }

  [Symbol.dispose](): void {
    this.port[Symbol.dispose]();
    this.loaded.close();
  }
}

/** The item that `get` may answer with, for a judge. */
export function item(key: string): Stored | undefined {
  const found = ITEMS.get(key);
  return found && !found.gone ? { value: Buffer.from(found.value, 'latin1'), flags: found.flags } : undefined;
}

const MOST_FRAME = 4096;

/** BPF_PROG_TEST_RUN with one pair of buffers for all runs: `run` makes new ones for each. */
function testRuns(program: LinuxProgram): (frame: Uint8Array) => Verdict {
  const [number, layout] = COMMANDS.prog_test_run;
  const [input, output] = [new Uint8Array(MOST_FRAME), new Uint8Array(MOST_FRAME)];
  const attributes = encodeStruct(
    layout,
    { prog_fd: program.fdNumber, data_in: input, data_out: output, repeat: 1 },
    addressOf,
  );
  // struct's beginning: prog_fd, retval, data_size_in, data_size_out.
  const words = new Uint32Array(attributes.buffer, 0, 4);
  return (frame) => {
    input.set(frame);
    words[2] = frame.length;
    words[3] = output.length;
    const result = syscall('bpf', number, attributes, attributes.length);
    assert.equal(result, 0);
    return { retval: words[1], packet: output.slice(0, words[3]) };
  };
}
