import { type AccessSize, opcode } from '../../isa/opcodes.ts';
import type { Env } from '../env.ts';
import type { Memory } from '../facts.ts';
import { alignedTo, constantHalves, type Scalar, sext, truncate } from '../scalar/scalar.ts';
import { typeName } from '../state/print.ts';
import {
  MAYBE_NULL,
  MEM_RDONLY,
  PTR_UNTRUSTED,
  type Reg,
  type RegKind,
  scalarReg,
  UNKNOWN_SCALAR,
} from '../state/reg.ts';
import { checkAlignment } from './alignment.ts';
import { accessBtf, accessMapPointer } from './btf-access.ts';
import { accessBuffer, accessTracepointBuffer } from './buffer-access.ts';
import { accessContext } from './context-access.ts';
import { accessKptr } from './kptr-access.ts';
import { checkMapAccess, isReadOnly, mayAccessMap } from './map-access.ts';
import { checkPacket, checkRegion } from './region.ts';
import { checkSocketAccess } from './socket-access.ts';
import { readStack, writeStack } from './stack.ts';
import { noteAddress, stackRange } from './stack-bounds.ts';

/**
 * One load or store of an instruction (Linux: check_mem_access). The kind of pointer decides what is checked, which
 * memory the instruction reaches, and what a loaded register holds.
 */

export type Access = 'read' | 'write';

export interface MemoryAccess {
  readonly access: Access;
  /** The register that holds the address; `off` is the instruction's. */
  readonly base: number;
  readonly off: number;
  readonly size: AccessSize;
  /** The register loaded or stored; −1 when there is none (an immediate, an atomic). */
  readonly value: number;
  /** A load that extends the sign. */
  readonly signed?: boolean;
  readonly strict?: boolean;
}

/** Of struct bpf_flow_keys. */
const FLOW_KEYS_BYTES = 56;

const MEMORY: Partial<Record<RegKind, Memory>> = {
  fp: 'stack',
  ctx: 'ctx',
  arena: 'arena',
  pkt: 'packet',
  pkt_meta: 'packet',
};

export function checkAccess(env: Env, request: MemoryAccess): void {
  const { access, base, size, value } = request;
  const reg = env.reg(base);
  checkAlignment(env, reg, request.off, size, request.strict ?? false);
  const loads = access === 'read' && value >= 0;
  if (access === 'write' && value >= 0 && reg.kind !== 'fp') noteAddress(env, env.reg(value));
  const loaded = reachMemory(env, reg, request, request.off + reg.off);
  noteAccess(env, reg, request);
  if (!loads) return;
  if (loaded !== undefined) env.setReg(value, loaded);
  const result = env.reg(value);
  if (result.kind !== 'scalar' || size === 8) return;
  const scalar = request.signed ? sext(result.scalar, size * 8) : truncate(result.scalar, size);
  // A number that its extension changes is no copy of the slot any more. (Linux keeps the tie, and is wrong about both then.)
  const changed = request.signed && !isPositive(result.scalar, size * 8);
  env.setReg(value, changed ? result.with({ scalar, id: 0, off: 0 }) : result.withScalar(scalar));
}

/** Whether a number has no sign to extend as one of so many bits. */
function isPositive({ umaxLo, umaxHi }: Scalar, bits: number): boolean {
  return umaxHi === 0 && umaxLo >>> 0 < 2 ** (bits - 1);
}

/** @param off the instruction's offset and the pointer's own. @returns what a load gives; undefined where it is done. */
function reachMemory(env: Env, reg: Reg, request: MemoryAccess, off: number): Reg | undefined {
  const { access, base, size, value } = request;
  const { kind } = reg;
  const refuse = () => env.reject('EACCES', `R${base} invalid mem access '${typeName(reg)}'`);
  if (reg.has(MAYBE_NULL)) throw refuse();
  switch (kind) {
    case 'map_key':
      if (access === 'write') throw env.reject('EACCES', `write to change key R${base} not allowed`);
      checkRegion(env, base, off, size, reg.map?.keySize ?? 0, false);
      return UNKNOWN_SCALAR;
    case 'map_value': {
      mayAccessMap(env, base, off, size, access);
      const kptr = checkMapAccess(env, base, off, size, false, true);
      if (kptr !== undefined) return accessKptr(env, value, kptr);
      return constantOf(reg, off, size) ?? UNKNOWN_SCALAR;
    }
    case 'mem': {
      const readOnly = reg.has(MEM_RDONLY);
      if (access === 'write' && readOnly)
        throw env.reject('EACCES', `R${base} cannot write into ${typeName(reg)}`);
      if (readOnly && reg.has(PTR_UNTRUSTED)) env.facts.probes.add(env.at);
      else checkRegion(env, base, off, size, reg.of?.kind === 'mem' ? reg.of.size : 0, false);
      return UNKNOWN_SCALAR;
    }
    case 'ctx':
      return accessContext(env, base, off, size, access, request.signed ?? false);
    case 'fp':
      if (access === 'read') readStack(env, base, off, size, value);
      else writeStack(env, base, off, size, value);
      return undefined;
    case 'pkt':
    case 'pkt_meta':
      if (access === 'write' && !env.rules.writesPacket)
        throw env.reject('EACCES', 'cannot write into packet');
      checkPacket(env, base, off, size, false);
      return UNKNOWN_SCALAR;
    case 'map_ptr':
      return accessMapPointer(env, base, off, size, access);
    case 'btf_id':
      env.facts.probes.add(env.at);
      return accessBtf(env, base, off, size, access);
    case 'buf':
      accessBuffer(env, base, off, size, access);
      return UNKNOWN_SCALAR;
    case 'tp_buffer':
      accessTracepointBuffer(env, base, off, size);
      return UNKNOWN_SCALAR;
    case 'flow_keys':
      if (off < 0 || off + size > FLOW_KEYS_BYTES)
        throw env.reject('EACCES', `invalid access to flow keys off=${off} size=${size}`);
      return UNKNOWN_SCALAR;
    case 'arena':
      return UNKNOWN_SCALAR;
    case 'sock':
    case 'sock_common':
    case 'tcp_sock':
    case 'xdp_sock':
      if (access === 'write') throw env.reject('EACCES', `R${base} cannot write into ${typeName(reg)}`);
      checkSocketAccess(env, base, off, size);
      return UNKNOWN_SCALAR;
    default:
      throw refuse();
  }
}

/** What a map holds that nobody can change is known now. */
function constantOf(reg: Reg, off: number, size: number): Reg | undefined {
  const { map } = reg;
  if (map === undefined || !isReadOnly(map) || !reg.scalar.isConst()) return undefined;
  const { contents } = map;
  const at = off + reg.scalar.sminNumber();
  if (contents === undefined || at + size > contents.length) return undefined;
  const bytes = new Uint8Array(8);
  bytes.set(contents.subarray(at, at + size));
  const view = new DataView(bytes.buffer);
  return scalarReg(constantHalves(view.getInt32(0, true), view.getInt32(4, true)));
}

/** Keeps for the JIT what this access reaches; on every path the same memory (Linux: save_aux_ptr_type). */
function noteAccess(env: Env, reg: Reg, { off, size }: MemoryAccess): void {
  const fact = env.facts.of(env.at);
  const memory = MEMORY[reg.kind] ?? 'kernel';
  if (
    fact.kind !== undefined &&
    fact.kind !== reg.kind &&
    (ALONE.includes(fact.kind) || ALONE.includes(reg.kind))
  ) {
    throw env.reject('EINVAL', 'same insn cannot be used with different pointers');
  }
  const at = reg.kind === 'fp' && reg.scalar.isConst() ? off + reg.off + reg.scalar.sminNumber() : undefined;
  const distance = env.frame.number - reg.frame;
  const map = reg.kind === 'map_value' ? reg.map : undefined;
  const alignment = PLACED.includes(reg.kind) ? knownAlignment(reg.scalar, reg.off + off) : 1;
  const before = fact.stackOffset;
  if (fact.memory === undefined) {
    fact.stackOffset = at;
    fact.frameDistance = distance;
    fact.map = map;
    fact.alignment = alignment;
  } else {
    if (fact.stackOffset !== at) fact.stackOffset = undefined;
    if (fact.frameDistance !== distance) fact.frameDistance = -1;
    if (fact.map !== map) fact.map = undefined;
    fact.alignment = Math.min(fact.alignment, alignment);
  }
  // One place on this path, another one on that: then the bytes are not this instruction's alone.
  if (fact.memory !== undefined && before !== undefined && fact.stackOffset === undefined)
    env.facts.noteStackEscape(env.frame.subprog, before, before + size);
  fact.kind = reg.kind;
  fact.memory = memory;
  if (reg.kind !== 'fp') return;
  const kind = opcode(env.insns[env.at].code)?.kind;
  if (fact.stackOffset !== undefined && distance === 0 && (kind === 'load' || kind === 'store')) return;
  const { min, max } = stackRange(reg, reg.off + off);
  env.facts.noteStackEscape(env.state.frames[reg.frame].subprog, min, max + size);
}

/** The largest power of two, up to 8, that surely divides the variable offset plus the fixed one. */
function knownAlignment(variable: Scalar, fixed: number): number {
  for (const size of [8, 4, 2]) if (alignedTo(variable, fixed, size)) return size;
  return 1;
}

/** Memory that begins at a multiple of 8, wherever it is; what a function is handed may begin in the middle of something. */
const PLACED: readonly RegKind[] = ['fp', 'map_value', 'ctx'];

/** Kinds of pointer that an instruction which has met one goes through always (Linux: reg_type_mismatch_ok). */
const ALONE: readonly RegKind[] = ['ctx', 'arena', 'sock', 'sock_common', 'tcp_sock', 'xdp_sock', 'btf_id'];
