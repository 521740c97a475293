import { Cpu } from '../../src/embedded/cpu.ts';
import { EmbeddedKernel } from '../../src/embedded/kernel.ts';
import type { ArenaAddress } from '../../src/embedded/layout.ts';
import type { EmbeddedLoad } from '../../src/embedded/load.ts';
import { ArenaMap } from '../../src/embedded/maps/arena.ts';
import type { EmbeddedProgram } from '../../src/embedded/program.ts';
import { BpfError } from '../../src/errors.ts';
import { OpenedObject } from '../../src/index.ts';
import { Violation } from '../../src/interpreter/guard.ts';
import { step } from '../../src/interpreter/interpreter.ts';
import { FRAME_BYTES, MAX_FRAMES, Machine } from '../../src/interpreter/machine.ts';
import { opcode } from '../../src/isa/opcodes.ts';
import { PROGRAM_RULES } from '../../src/verifier/rules.ts';
import { contains } from '../../src/verifier/scalar/scalar.ts';
import { anyBytes, anyWord, fillMap } from '../inputs.ts';
import type { Random } from '../random.ts';
import { Claims, type Places } from './claims.ts';

/**
 * Runs an accepted program in the checked interpreter with random inputs and looks, before each instruction, whether the
 * machine is inside one of the states in which the verifier passed there.
 */

/** A bug of the verifier. */
export interface Finding {
  readonly insn: number;
  readonly problem: string;
}

/** Instructions of one run that are looked at; programs with endless loops are left there. */
const MAX_STEPS = 3_000;
/** Where a packet lies in its page: metadata in front. */
const PACKET_AT = 256;
const META_BYTES = 16;

/** A CPU whose helpers give random answers, and whose programs may have a packet. */
class WatchedCpu extends Cpu {
  random: Random | undefined;
  packet: { meta: number; data: number; end: number } | undefined;
  writesPacket = false;

  override refusal(offset: number, size: number, writes: boolean): string | undefined {
    const { packet } = this;
    const inPacket = packet !== undefined && offset >= packet.meta && offset + size <= packet.end;
    if (inPacket && (!writes || this.writesPacket)) return undefined;
    return super.refusal(offset, size, writes);
  }

  override callHelper(id: number, machine: Machine): boolean {
    const value = this.random && anyWord(this.random);
    const answer = value === undefined ? undefined : ANSWERS[id]?.(value);
    if (answer === undefined) return super.callHelper(id, machine);
    machine.wide[0] = answer;
    return false;
  }
}

/** Helpers that tell of the world, by number: what they make of a random word. */
const ANSWERS: Readonly<Record<number, (word: bigint) => bigint>> = {
  5: (word) => word,
  7: (word) => BigInt.asUintN(32, word),
  8: (word) => word & 63n,
  14: (word) => word,
};

/** How a program is verified: with everything that is claimed recorded, or as always, for the guard alone to look at. */
export type WatchMode = 'claims' | 'guard';

/** The program could not be watched: refused, not runnable here, or too large. */
export class NotWatched extends Error {
  override name = 'NotWatched';
}

/** An object's program `f`, verified and ready to be run and looked at. */
export class Watched implements Disposable {
  readonly #kernel: EmbeddedKernel;
  readonly #load: EmbeddedLoad;
  readonly #program: EmbeddedProgram;
  readonly #cpu: WatchedCpu;
  readonly #claims: Claims | undefined;
  readonly #page: number;
  /** Instructions that were run. */
  steps = 0;

  private constructor(kernel: EmbeddedKernel, load: EmbeddedLoad, claims: Claims | undefined) {
    this.#kernel = kernel;
    this.#load = load;
    this.#claims = claims;
    this.#program = load.programs.f;
    this.#cpu = new WatchedCpu(kernel, 0);
    this.#cpu.writesPacket = PROGRAM_RULES[this.#program.type]?.writesPacket === true;
    this.#page = kernel.memory.allocate(4096);
  }

  /** Verifies an object. Throws NotWatched. */
  static async open(bytes: Uint8Array, mode: WatchMode, flags = 0): Promise<Watched> {
    const kernel = new EmbeddedKernel({ checked: true });
    const claims = mode === 'claims' ? new Claims() : undefined;
    kernel.observation = claims && { exactPruning: true, record: (env) => claims.record(env) };
    const object = new OpenedObject(bytes, 'object');
    object.programs.f.flags = flags;
    try {
      return new Watched(kernel, await kernel.load(object), claims);
    } catch (error) {
      kernel.close();
      if (!(error instanceof BpfError)) throw error;
      throw new NotWatched(error.message);
    }
  }

  [Symbol.dispose](): void {
    this.#kernel.close();
  }

  /** One run with random inputs. @returns the bug that it shows, if any. */
  run(random: Random): Finding | undefined {
    const cpu = this.#cpu;
    const { verified, code } = this.#program;
    this.#prepare(random);
    const ctx = anyBytes(random, Math.max(192, verified.facts.contextBytes));
    const r1 = cpu.enter(this.#program, ctx);
    const machine = new Machine(code, cpu, r1);
    const places: Places = {
      ctx: r1.low,
      ...(cpu.packet && { packet: cpu.packet }),
      mapOf: (reg) => this.#load.maps[reg.map?.name ?? ''],
    };
    try {
      for (let i = 0; i < MAX_STEPS && !machine.finished; i++) {
        const wrong = this.#claims?.mismatch(machine, places) ?? this.#wrongValue(machine);
        if (wrong !== undefined) return { insn: machine.pc, problem: wrong };
        const at = machine.pc;
        step(machine);
        this.steps++;
        if (!this.#patchContextLoad(machine, at)) break;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Violation) return { insn: error.insn, problem: error.message };
      if (error instanceof BpfError) return undefined;
      throw error;
    } finally {
      cpu.leave();
    }
  }

  /** A register outside of what the JIT is told of it. */
  #wrongValue(machine: Machine): string | undefined {
    const { verified } = this.#program;
    for (let register = 0; register < 10; register++) {
      const value = machine.wide[register];
      const known = verified.valueBefore(machine.pc, register);
      const [lo, hi] = [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
      if (!contains(known, lo, hi))
        return `R${register} is 0x${BigInt.asUintN(64, value).toString(16)}, outside of its static range`;
    }
    return undefined;
  }

  /** What the context's pointer fields give is made by the kernel, not loaded. @returns false for what is not known here. */
  #patchContextLoad(machine: Machine, at: number): boolean {
    const { insns, facts } = this.#program.verified;
    const insn = insns[at];
    if (facts.insns[at]?.memory !== 'ctx' || opcode(insn.code)?.kind !== 'load') return true;
    const fields = PROGRAM_RULES[this.#program.type]?.context.fields ?? [];
    const gives = fields.find(({ off }) => off === insn.off)?.gives;
    if (gives === undefined) return true;
    const { packet } = this.#cpu;
    const place = gives === 'pkt' ? packet?.data : gives === 'pkt_end' ? packet?.end : packet?.meta;
    if (place === undefined || !gives.startsWith('pkt')) return false;
    machine.wide[insn.dst] = this.#cpu.kernelPointer(place);
    return true;
  }

  /** Random contents of everything that a program finds. */
  #prepare(random: Random): void {
    const { memory } = this.#kernel;
    this.#cpu.random = random;
    for (const map of Object.values(this.#load.maps)) {
      if (map instanceof ArenaMap) fillArena(map, random);
      else fillMap(map, random, 70);
    }
    const data = this.#page + PACKET_AT;
    const length = random.pick([0, 1, 4, 13, 14, 15, 20, 34, 64, 300, 1500]);
    memory.bytes.set(anyBytes(random, META_BYTES + length), data - META_BYTES);
    this.#cpu.packet = { meta: data - META_BYTES * random.below(2), data, end: data + length };
    const stack = this.#cpu.stackTop - MAX_FRAMES * FRAME_BYTES;
    memory.bytes.set(anyBytes(random, MAX_FRAMES * FRAME_BYTES), stack);
  }
}

function fillArena(map: ArenaMap, random: Random): void {
  const { arena } = map;
  const page = arena.allocate(undefined, 1);
  if (page < 0) return;
  arena.touch(page as ArenaAddress, 256, true);
  arena.window.set(anyBytes(random, 256), page);
}
