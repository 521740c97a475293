import type { Btf } from '../../btf/index.ts';
import type { SpecialField } from '../field-kinds.ts';
import type { MapInfo } from '../input.ts';
import type { RawWrite } from '../memory/stack.ts';
import type { DynptrType } from '../state/reg.ts';

/**
 * What the arguments of one call tell: of each other, and of the result (Linux: struct bpf_call_arg_meta). Made for each
 * call, filled in argument by argument, read when r0 is given its value.
 */
export class CallMeta implements RawWrite {
  /** The map argument, and which lookup of an inner map it came from; 0 for none. */
  map: MapInfo | undefined;
  mapUid = 0;
  /** Memory that the callee fills: nothing needs to be there before. Which register, and how many bytes it will write. */
  raw = false;
  register = -1;
  size = 0;
  /** The callee may change packet data through its arguments. */
  packetAccess = false;
  /** The argument that is given back; 0 for none. */
  releaseRegister = 0;
  /** The reference behind the argument that has one: what a cast returns belongs to it. */
  refId = 0;
  /** Bytes of the memory that is returned. */
  memSize = 0;
  /** The dynptr argument: its id, the reference it holds, what it points into. */
  dynptrId = 0;
  dynptrRefId = 0;
  dynptrType: DynptrType | undefined;
  dynptrReadOnly = false;
  /** The type of the pointer argument to a kernel object. */
  btf: Btf | undefined;
  btfId = 0;
  /** The type of what is returned. */
  returnBtf: Btf | undefined;
  returnBtfId = 0;
  /** The function argument; −1 for none. */
  subprog = -1;
  /** The largest value of the size argument, where the callee relies on it. */
  maxSize = 0;
  /** The per-CPU argument is an object of the program's, under RCU. */
  percpuObject = false;
  /** The field that bpf_kptr_xchg changes. */
  kptr: SpecialField | undefined;
  /** The key, where it is a known number; −1 for none. */
  constantKey = -1;
}
