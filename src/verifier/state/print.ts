import type { Scalar } from '../scalar/scalar.ts';
import {
  MAYBE_NULL,
  MEM_PERCPU,
  MEM_RCU,
  MEM_RDONLY,
  MEM_RINGBUF,
  MEM_USER,
  NON_OWN_REF,
  PTR_TRUSTED,
  PTR_UNTRUSTED,
  type Reg,
} from './reg.ts';
import { BYTE_LETTERS, DYNPTR, INVALID, ITER, type StackSlot } from './slot.ts';
import type { Frame, State } from './state.ts';

/** Registers, slots and states as Linux's log writes them (kernel/bpf/log.c): people search for these words. */

const NAMES: Partial<Record<Reg['kind'], string>> = { not_init: '?', btf_id: 'ptr_', dynptr: 'dynptr_ptr' };

/** The name of a pointer's type: `map_value_or_null`, `rdonly_mem`, `trusted_ptr_`. */
export function typeName(reg: Reg): string {
  const { kind, flags } = reg;
  const or = (flags & MAYBE_NULL) !== 0 ? (kind === 'btf_id' ? 'or_null_' : '_or_null') : '';
  const prefix = PREFIXES.map(([flag, word]) => ((flags & flag) !== 0 ? word : '')).join('');
  return `${prefix}${NAMES[kind] ?? kind}${or}`;
}

const PREFIXES: readonly (readonly [number, string])[] = [
  [MEM_RDONLY, 'rdonly_'],
  [MEM_RINGBUF, 'ringbuf_'],
  [MEM_USER, 'user_'],
  [MEM_PERCPU, 'percpu_'],
  [MEM_RCU, 'rcu_'],
  [PTR_UNTRUSTED, 'untrusted_'],
  [PTR_TRUSTED, 'trusted_'],
];

/** A register's value and bounds. */
export function regText(reg: Reg, frame: number): string {
  const { kind } = reg;
  if (kind === 'scalar') {
    const precise = reg.precise ? 'P' : '';
    if (reg.scalar.isConst()) return `${precise}${constant(reg.scalar)}`;
    const parts: string[] = [];
    if (reg.id !== 0)
      parts.push(`id=${reg.id & ~ADD_CONST}${(reg.id & ADD_CONST) !== 0 ? signed(reg.off) : ''}`);
    parts.push(...bounds(reg.scalar));
    return `${precise}scalar(${parts.join(',')})`;
  }
  if (kind === 'arena') return 'arena';
  if (kind === 'fp') {
    const name = `fp${reg.frame !== frame ? `[${reg.frame}]` : ''}`;
    if (reg.scalar.isConst()) return `${name}${reg.off + Number(reg.scalar.smin())}`;
    return `${name}(${[...(reg.off !== 0 ? [`off=${reg.off}`] : []), ...bounds(reg.scalar)].join(',')})`;
  }
  const parts: string[] = [];
  if (reg.id !== 0) parts.push(`id=${reg.id}`);
  if (reg.refId !== 0) parts.push(`ref_obj_id=${reg.refId}`);
  if ((reg.flags & NON_OWN_REF) !== 0) parts.push('non_own_ref');
  const { of } = reg;
  if (of?.kind === 'map') {
    if (of.map.name !== '') parts.push(`map=${of.map.name}`);
    parts.push(`ks=${of.map.keySize}`, `vs=${of.map.valueSize}`);
  }
  if (reg.off !== 0) parts.push(`off=${number(BigInt(reg.off))}`);
  if (kind === 'pkt' || kind === 'pkt_meta')
    parts.push(`r=${unsignedNumber(BigInt.asUintN(64, BigInt(reg.range)))}`);
  if (kind === 'mem' && of?.kind === 'mem') parts.push(`sz=${of.size}`);
  if (kind === 'dynptr' && of?.kind === 'dynptr') parts.push(`type=${of.type}`);
  if (!reg.scalar.isConst()) parts.push(...bounds(reg.scalar));
  else if (reg.scalar.smin() !== 0n) parts.push(`imm=${number(reg.scalar.smin())}`);
  const type =
    kind === 'btf_id' && of?.kind === 'btf' ? typeName(reg) + (of.btf.nameOf(of.id) ?? '') : typeName(reg);
  return `${type}(${parts.join(',')})`;
}

/** In an id: `off` was added to the linked value, as 64 or as 32 bits (Linux: BPF_ADD_CONST64, BPF_ADD_CONST32). */
export const ADD_CONST64 = 1 << 30;
export const ADD_CONST32 = 1 << 29;
export const ADD_CONST = ADD_CONST64 | ADD_CONST32;

function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`;
}

function constant(scalar: Scalar): string {
  return number(scalar.smin());
}

/** Small numbers in decimal, large ones in hex, as Linux's verbose_snum. */
function number(value: bigint): string {
  const small = value >= -32768n && value <= 32767n;
  return small ? `${value}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

function unsignedNumber(value: bigint): string {
  return value <= 65535n ? `${value}` : `0x${value.toString(16)}`;
}

/** `smin=0,smax=umax=255,var_off=(0x0; 0xff)`: bounds that say something, equal ones joined. */
function bounds(scalar: Scalar): string[] {
  const s32 = (value: number) =>
    value >= -32768 && value <= 32767 ? `${value}` : `0x${(value >>> 0).toString(16)}`;
  const signedText = (value: bigint) => number(value);
  // In hex a 32-bit number is not extended, and may be the same as an unsigned bound.
  const joined = (value: number) => BigInt(value >= -32768 && value <= 32767 ? value : value >>> 0);
  const rows: { name: string; value: bigint; omit: boolean; text: string }[] = [
    row('smin', scalar.smin(), scalar.smin() === -(2n ** 63n), signedText(scalar.smin())),
    row('smax', scalar.smax(), scalar.smax() === 2n ** 63n - 1n, signedText(scalar.smax())),
    row('umin', scalar.umin(), scalar.umin() === 0n, unsignedNumber(scalar.umin())),
    row('umax', scalar.umax(), scalar.umax() === 2n ** 64n - 1n, unsignedNumber(scalar.umax())),
    row('smin32', joined(scalar.s32min), scalar.s32min === -(2 ** 31), s32(scalar.s32min)),
    row('smax32', joined(scalar.s32max), scalar.s32max === 2 ** 31 - 1, s32(scalar.s32max)),
    row(
      'umin32',
      BigInt(scalar.u32min >>> 0),
      scalar.u32min === 0,
      unsignedNumber(BigInt(scalar.u32min >>> 0)),
    ),
    row(
      'umax32',
      BigInt(scalar.u32max >>> 0),
      scalar.u32max === -1,
      unsignedNumber(BigInt(scalar.u32max >>> 0)),
    ),
  ];
  const parts: string[] = [];
  for (let i = 0; i < rows.length; i++) {
    if (rows[i].omit) continue;
    const names = [rows[i].name];
    // Minima with minima, maxima with maxima.
    for (let j = i + 2; j < rows.length; j += 2) {
      if (rows[j].omit || rows[j].value !== rows[i].value) continue;
      rows[j].omit = true;
      names.push(rows[j].name);
    }
    parts.push(`${names.join('=')}=${rows[i].text}`);
  }
  const { value, mask } = scalar.tnum();
  if (mask !== 2n ** 64n - 1n) parts.push(`var_off=(0x${value.toString(16)}; 0x${mask.toString(16)})`);
  return parts;
}

function row(name: string, value: bigint, omit: boolean, text: string) {
  return { name, value, omit, text };
}

/** A frame: the registers and slots that are asked for. Starts with a blank. */
export function frameText(
  state: State,
  frame: Frame,
  wantsReg: (index: number) => boolean,
  wantsSlot: (index: number) => boolean,
): string {
  let text = frame.number !== 0 ? ` frame${frame.number}:` : '';
  for (let i = 0; i < frame.regs.length; i++) {
    const reg = frame.regs[i];
    if (reg.kind === 'not_init' || !wantsReg(i)) continue;
    text += ` R${i}=${regText(reg, frame.number)}`;
  }
  for (let i = 0; i < frame.stack.length; i++) {
    const slot = frame.stack[i];
    if (slot === undefined || !wantsSlot(i)) continue;
    text += slotText(slot, i, frame.number);
  }
  const held = state.held.map(({ id }) => id).filter((id) => id !== 0);
  // Locks in global variables have no id; where one was taken first, Linux lists none.
  if (held.length > 0 && state.held[0].id !== 0) text += ` refs=${held.join(',')}`;
  if (frame.role === 'callback') text += ' cb';
  if (frame.role === 'async') text += ' async_cb';
  return text;
}

function slotText(slot: StackSlot, index: number, frame: number): string {
  let letters = '';
  let valid = false;
  for (let i = 0; i < 8; i++) {
    const type = slot.byte(i);
    valid ||= type !== INVALID;
    letters += BYTE_LETTERS[type];
  }
  if (!valid) return '';
  const at = ` fp-${(index + 1) * 8}`;
  const { reg } = slot;
  const top = slot.byte(7);
  if (slot.isSpill && reg !== undefined) {
    return `${at}=${letters.replace(/r+$/, '')}${regText(reg, frame)}`;
  }
  if (top === DYNPTR && reg?.of?.kind === 'dynptr') {
    if (!reg.of.first) return '';
    const parts = [
      ...(reg.id !== 0 ? [`id=${reg.id}`] : []),
      ...(reg.refId !== 0 ? [`ref_id=${reg.refId}`] : []),
      // Linux prints that it is the first of two slots under this name.
      'dynptr_id=1',
    ];
    return ` fp-${(index + 1) * 8}=dynptr_${reg.of.type}(${parts.join(',')})`;
  }
  if (top === ITER && reg?.of?.kind === 'iter') {
    if (reg.refId === 0) return '';
    const name = (reg.of.btf.nameOf(reg.of.id) ?? '').replace(/^bpf_iter_/, '');
    return `${at}=iter_${name}(ref_id=${reg.refId},state=${reg.of.state},depth=${reg.of.depth})`;
  }
  return `${at}=${letters}`;
}
