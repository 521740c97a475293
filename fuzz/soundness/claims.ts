import { KERNEL_HIGH } from '../../src/embedded/layout.ts';
import type { EmbeddedMap } from '../../src/embedded/maps/map.ts';
import { BpfError } from '../../src/errors.ts';
import type { Machine } from '../../src/interpreter/machine.ts';
import { subprogramTarget } from '../../src/isa/instruction.ts';
import type { Env } from '../../src/verifier/env.ts';
import { isGlobal, type ProgramToVerify } from '../../src/verifier/input.ts';
import { contains, type Scalar, truncate } from '../../src/verifier/scalar/scalar.ts';
import { ADD_CONST, ADD_CONST32, ADD_CONST64, regText } from '../../src/verifier/state/print.ts';
import type { Reg } from '../../src/verifier/state/reg.ts';
import { SPILL, ZERO_BYTE } from '../../src/verifier/state/slot.ts';
import type { Frame, State } from '../../src/verifier/state/state.ts';

/**
 * Whether a running machine is inside a state that the verifier passed: each live register and each slot holds what is
 * claimed of it, and what is tied together is.
 */

/** Where the things are that pointers may point to: offsets in kernel memory, one past the end for `end`. */
export interface Places {
  readonly ctx: number;
  /** Of a program with a packet. */
  readonly packet?: { readonly meta: number; readonly data: number; readonly end: number };
  readonly mapOf: (reg: Reg) => EmbeddedMap | undefined;
}

/** What is wrong: where, what is there, and what was claimed. */
interface Mismatch {
  readonly what: string;
  readonly value: bigint;
  readonly claim: string;
}

/** Values by what ties them: registers that must be equal, or NULL together. */
type Ties = Map<string, bigint>;

const low = (value: bigint) => Number(BigInt.asIntN(32, value));
const high = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));
const holds = (scalar: Scalar, value: bigint) => contains(scalar, low(value), high(value));
const pointer = (offset: number) => (BigInt(KERNEL_HIGH >>> 0) << 32n) | BigInt(offset);

/** States that are kept of one program: beyond, it is not watched. */
const MAX_STATES = 30_000;

/** What the verifier claimed, by instruction. */
export class Claims {
  readonly #states = new Map<number, Claim[]>();
  #live: Uint16Array = new Uint16Array();
  #program: ProgramToVerify | undefined;
  #count = 0;

  record({ at, state, subprog, live, program }: Env): void {
    if (++this.#count > MAX_STATES) throw new BpfError('E2BIG', 'too many states to watch');
    this.#live = live;
    this.#program = program;
    const claim = { state: state.copy(), subprog };
    const known = this.#states.get(at);
    if (known === undefined) this.#states.set(at, [claim]);
    else known.push(claim);
  }

  /** @returns why the machine is in none of the states, or undefined when it is in one. */
  mismatch(machine: Machine, places: Places): string | undefined {
    const chain = machine.callChain.reverse();
    const outer = this.#outer(chain);
    const claims = (this.#states.get(machine.pc) ?? []).filter(({ state, subprog }) =>
      this.#sameCalls(state, subprog, chain, outer),
    );
    let closest: Mismatch | undefined;
    for (let i = 0; i < claims.length; i++) {
      const wrong = mismatch(machine, claims[i].state, outer, places, this.#live);
      if (wrong === undefined) return undefined;
      // The one that the path comes from is mostly the first.
      closest ??= wrong;
    }
    if (closest === undefined) return 'no path of the verifier leads here';
    const { what, value, claim } = closest;
    return `${what} is 0x${value.toString(16)}, in none of ${claims.length} states; one claims ${claim}`;
  }

  /** Frames outside the innermost global function, which was verified by itself. */
  #outer(chain: readonly number[]): number {
    for (let number = chain.length - 1; number > 0; number--) {
      const callee = this.#calleeOf(chain[number - 1]);
      if (callee >= 0 && this.#isGlobal(callee)) return number;
    }
    return 0;
  }

  #isGlobal(subprog: number): boolean {
    const program = this.#program as ProgramToVerify;
    return isGlobal(program, program.subprograms[subprog]);
  }

  #calleeOf(callsite: number): number {
    const { insns, subprograms } = this.#program as ProgramToVerify;
    const target = subprogramTarget(insns[callsite], callsite);
    return subprograms.findIndex(({ start }) => start === target);
  }

  #sameCalls(state: State, subprog: number, chain: readonly number[], outer: number): boolean {
    if (state.frames.length !== chain.length - outer) return false;
    if (subprog !== (outer === 0 ? 0 : this.#calleeOf(chain[outer - 1]))) return false;
    return state.frames.every((frame, i) => i === 0 || frame.callsite === chain[outer + i - 1]);
  }
}

interface Claim {
  readonly state: State;
  readonly subprog: number;
}

/**
 * @param outer how many frames of the machine lie around the state's first: those of whoever called a global function.
 * @returns what does not hold, or undefined when all does.
 */
function mismatch(
  machine: Machine,
  state: State,
  outer: number,
  places: Places,
  liveAt: Uint16Array,
): Mismatch | undefined {
  const ties: Ties = new Map();
  for (let number = 0; number < state.frames.length; number++) {
    const frame = state.frames[number];
    const innermost = number === state.depth;
    const live = liveAt[innermost ? machine.pc : state.frames[number + 1].callsite];
    for (let i = 0; i < 10; i++) {
      if ((live & (1 << i)) === 0 || (!innermost && i < 6)) continue;
      const value = machine.registerOf(outer + number, i);
      const claim = frame.regs[i];
      if (!regHolds(machine, value, claim, outer, places, ties))
        return { what: `R${i} of frame ${number}`, value, claim: regText(claim, number) };
    }
    const wrong = stackMismatch(machine, frame, outer, places, ties);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function frameTop(machine: Machine, number: number): number {
  return machine.stackTop - 512 * number;
}

function stackMismatch(
  machine: Machine,
  frame: Frame,
  outer: number,
  places: Places,
  ties: Ties,
): Mismatch | undefined {
  const top = frameTop(machine, outer + frame.number);
  const memory = machine.environment.kernelMemory;
  for (let index = 0; index < frame.stack.length; index++) {
    const slot = frame.stack[index];
    if (slot === undefined) continue;
    const at = top - 8 * (index + 1);
    const what = `fp-${8 * (index + 1)} of frame ${frame.number}`;
    for (let byte = 0; byte < 8; byte++) {
      if (slot.byte(byte) === ZERO_BYTE && memory.getUint8(at + 7 - byte) !== 0)
        return { what: `${what}, byte ${7 - byte}`, value: memory.getBigUint64(at, true), claim: 'zero' };
    }
    const { reg } = slot;
    if (!slot.isSpill || reg === undefined) continue;
    let size = 1;
    while (size < 8 && slot.byte(7 - size) === SPILL) size++;
    const whole = memory.getBigUint64(at, true);
    const value = BigInt.asUintN(8 * size, whole);
    const claim = size === 8 ? reg : narrowed(reg, size);
    if (claim !== undefined && !regHolds(machine, value, claim, outer, places, ties))
      return { what, value, claim: regText(claim, frame.number) };
  }
  return undefined;
}

/** What the low bytes of a register that was spilled in part hold. */
function narrowed(reg: Reg, size: number): Reg | undefined {
  if (reg.kind !== 'scalar' || (size !== 1 && size !== 2 && size !== 4)) return undefined;
  const scalar = truncate(reg.scalar, size);
  return reg.with({ scalar, id: scalar === reg.scalar ? reg.id : 0 });
}

function regHolds(
  machine: Machine,
  value: bigint,
  claim: Reg,
  outer: number,
  places: Places,
  ties: Ties,
): boolean {
  const { kind, scalar, off } = claim;
  if (kind === 'not_init') return true;
  if (kind === 'scalar') return holds(scalar, value) && tied(claim, value, ties);
  if (claim.maybeNull) {
    if (!together(`null ${claim.id}`, value === 0n ? 1n : 0n, ties)) return false;
    if (value === 0n) return true;
  } else if (value === 0n) return kind === 'arena' || kind === 'ctx';
  const from = (base: number) => holds(scalar, BigInt.asUintN(64, value - pointer(base) - BigInt(off)));
  switch (kind) {
    case 'ctx':
      return from(places.ctx);
    case 'fp':
      return from(frameTop(machine, outer + claim.frame));
    case 'map_ptr': {
      const map = places.mapOf(claim);
      return map === undefined || from(map.header);
    }
    case 'map_value': {
      const region = places.mapOf(claim)?.region;
      if (region === undefined) return true;
      for (let base = region.start as number; base < region.end; base += region.stride)
        if (from(base)) return true;
      return false;
    }
    case 'pkt':
    case 'pkt_meta':
      return packetHolds(claim, value, places, ties);
    case 'pkt_end':
      return places.packet === undefined || from(places.packet.end);
    default:
      return true;
  }
}

function packetHolds(claim: Reg, value: bigint, { packet }: Places, ties: Ties): boolean {
  if (packet === undefined) return true;
  const start = claim.kind === 'pkt' ? packet.data : packet.meta;
  const end = claim.kind === 'pkt' ? packet.end : packet.data;
  // The variable part alone: what `range` counts from.
  const base = value - BigInt(claim.off);
  if (!holds(claim.scalar, BigInt.asUintN(64, base - pointer(start)))) return false;
  if (claim.range > 0 && base + BigInt(claim.range) > pointer(end)) return false;
  return claim.id === 0 || together(`packet ${claim.id}`, base, ties);
}

/** Scalars of one id are equal, but for what was added to some of them. */
function tied({ id, off }: Reg, value: bigint, ties: Ties): boolean {
  if (id === 0) return true;
  const key = `scalar ${id & ~ADD_CONST}`;
  // A sum of 32 bits tells of the low half, and ties those of its own kind only.
  if ((id & ADD_CONST32) !== 0)
    return together(`${key}, 32 bits`, BigInt.asUintN(32, value - BigInt(off)), ties);
  const base = BigInt.asUintN(64, value - BigInt((id & ADD_CONST64) !== 0 ? off : 0));
  return together(key, base, ties);
}

function together(key: string, value: bigint, ties: Ties): boolean {
  const known = ties.get(key);
  if (known === undefined) ties.set(key, value);
  return known === undefined || known === value;
}
