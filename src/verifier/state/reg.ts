import type { Btf } from '../../btf/index.ts';
import type { MapInfo } from '../input.ts';
import { type Scalar, UNKNOWN, ZERO } from '../scalar/scalar.ts';

/**
 * What the verifier knows of a register (Linux: `struct bpf_reg_state`). A Reg never changes: an instruction that
 * changes a register puts a new one in its place, so that states can share registers, and two states that hold the same
 * object are equal without a look inside.
 */

/** Kinds of value, by the names that Linux's log gives them. `btf_id` prints as `ptr_`, `iter` and `irq` stand in stack slots. */
export type RegKind =
  | 'not_init'
  | 'scalar'
  | 'ctx'
  | 'map_ptr'
  | 'map_value'
  | 'map_key'
  | 'fp'
  | 'pkt'
  | 'pkt_meta'
  | 'pkt_end'
  | 'flow_keys'
  | 'sock'
  | 'sock_common'
  | 'tcp_sock'
  | 'xdp_sock'
  | 'tp_buffer'
  | 'btf_id'
  | 'mem'
  | 'buf'
  | 'func'
  | 'dynptr'
  | 'arena'
  | 'iter'
  | 'irq';

/* Flags of a pointer (Linux: enum bpf_type_flag). */
export const MAYBE_NULL = 1 << 0;
export const MEM_RDONLY = 1 << 1;
export const MEM_RINGBUF = 1 << 2;
export const MEM_USER = 1 << 3;
export const MEM_PERCPU = 1 << 4;
export const PTR_UNTRUSTED = 1 << 5;
export const MEM_ALLOC = 1 << 6;
export const PTR_TRUSTED = 1 << 7;
export const MEM_RCU = 1 << 8;
export const NON_OWN_REF = 1 << 9;

/** Kinds of dynptr; what it points into. */
export type DynptrType = 'local' | 'ringbuf' | 'skb' | 'xdp' | 'skb_meta' | 'file';

/** What a pointer points to, as far as its kind does not say. Compared by {@link sameReferent}. */
export type Referent =
  | {
      readonly kind: 'map';
      readonly map: MapInfo /** Tells lookups of inner maps apart. */;
      readonly uid: number;
    }
  | {
      readonly kind: 'mem';
      readonly size: number;
      /** Of memory that a dynptr gave: which one, and whether it is packet data. */
      readonly slice?: { readonly id: number; readonly packet: boolean };
    }
  | { readonly kind: 'btf'; readonly btf: Btf; readonly id: number }
  | { readonly kind: 'func'; readonly subprog: number }
  | {
      readonly kind: 'dynptr';
      readonly type: DynptrType;
      readonly first: boolean;
      readonly readOnly: boolean;
    }
  | {
      readonly kind: 'iter';
      readonly btf: Btf;
      readonly id: number;
      readonly state: 'active' | 'drained';
      readonly depth: number;
    }
  | { readonly kind: 'irq'; readonly family: 'native' | 'lock' };

export class Reg {
  readonly kind: RegKind;
  /** MAYBE_NULL and its like. */
  readonly flags: number;
  /** The constant part of a pointer's offset, bytes. For linked scalars the constant that was added. */
  readonly off: number;
  /** A scalar's value; the variable part of a pointer's offset. */
  readonly scalar: Scalar;
  /** Ties registers together: equal scalars, packet pointers of one base, or-null pointers of one lookup; 0 for none. */
  readonly id: number;
  /** The reference that must be released; 0 for none. */
  readonly refId: number;
  /** Of a stack pointer: which frame. */
  readonly frame: number;
  /** Of a packet pointer: bytes that may be accessed from its base; negative see compare of packet ends. */
  readonly range: number;
  readonly of: Referent | undefined;
  /** A scalar whose exact range a check relied on. */
  readonly precise: boolean;

  constructor(
    kind: RegKind,
    flags: number,
    off: number,
    scalar: Scalar,
    id: number,
    refId: number,
    frame: number,
    range: number,
    of: Referent | undefined,
    precise: boolean,
  ) {
    this.kind = kind;
    this.flags = flags;
    this.off = off;
    this.scalar = scalar;
    this.id = id;
    this.refId = refId;
    this.frame = frame;
    this.range = range;
    this.of = of;
    this.precise = precise;
  }

  /** The same with some fields changed. */
  with(changes: RegFields): Reg {
    return new Reg(
      changes.kind ?? this.kind,
      changes.flags ?? this.flags,
      changes.off ?? this.off,
      changes.scalar ?? this.scalar,
      changes.id ?? this.id,
      changes.refId ?? this.refId,
      changes.frame ?? this.frame,
      changes.range ?? this.range,
      'of' in changes ? changes.of : this.of,
      changes.precise ?? this.precise,
    );
  }

  withScalar(scalar: Scalar): Reg {
    if (scalar === this.scalar) return this;
    const { kind, flags, off, id, refId, frame, range, of, precise } = this;
    return new Reg(kind, flags, off, scalar, id, refId, frame, range, of, precise);
  }

  withId(id: number): Reg {
    if (id === this.id) return this;
    const { kind, flags, off, scalar, refId, frame, range, of, precise } = this;
    return new Reg(kind, flags, off, scalar, id, refId, frame, range, of, precise);
  }

  /** A scalar that is tied to no other: what was added to one is of no meaning then (Linux: clear_scalar_id). */
  untied(): Reg {
    return this.with({ id: 0, off: 0 });
  }

  withPrecise(precise: boolean): Reg {
    if (precise === this.precise) return this;
    const { kind, flags, off, scalar, id, refId, frame, range, of } = this;
    return new Reg(kind, flags, off, scalar, id, refId, frame, range, of, precise);
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  get maybeNull(): boolean {
    return (this.flags & MAYBE_NULL) !== 0;
  }

  get isScalar(): boolean {
    return this.kind === 'scalar';
  }

  /** The map behind a map pointer, value or key. */
  get map(): MapInfo | undefined {
    return this.of?.kind === 'map' ? this.of.map : undefined;
  }
}

export interface RegFields {
  readonly kind?: RegKind;
  readonly flags?: number;
  readonly off?: number;
  readonly scalar?: Scalar;
  readonly id?: number;
  readonly refId?: number;
  readonly frame?: number;
  readonly range?: number;
  readonly of?: Referent | undefined;
  readonly precise?: boolean;
}

export const NOT_INIT = new Reg('not_init', 0, 0, UNKNOWN, 0, 0, 0, 0, undefined, false);
/** A number of which nothing is known. */
export const UNKNOWN_SCALAR = new Reg('scalar', 0, 0, UNKNOWN, 0, 0, 0, 0, undefined, false);
export const ZERO_SCALAR = new Reg('scalar', 0, 0, ZERO, 0, 0, 0, 0, undefined, false);
export const ARENA_REG = new Reg('arena', 0, 0, ZERO, 0, 0, 0, 0, undefined, false);

export function scalarReg(scalar: Scalar, precise = false, id = 0): Reg {
  return new Reg('scalar', 0, 0, scalar, id, 0, 0, 0, undefined, precise);
}

/** A pointer without variable offset. */
export function pointer(kind: RegKind, fields: RegFields = {}): Reg {
  const { flags = 0, off = 0, id = 0, refId = 0, frame = 0, range = 0, of } = fields;
  return new Reg(kind, flags, off, fields.scalar ?? ZERO, id, refId, frame, range, of, false);
}

/** The pointer to the top of a frame's stack. */
export function framePointer(frame: number): Reg {
  return pointer('fp', { frame });
}

/** Whether two pointers point into the same kind of thing. */
export function sameReferent(a: Referent | undefined, b: Referent | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'map':
      return b.kind === 'map' && a.map === b.map && a.uid === b.uid;
    case 'mem':
      return b.kind === 'mem' && a.size === b.size && a.slice?.id === b.slice?.id;
    case 'btf':
      return b.kind === 'btf' && a.btf === b.btf && a.id === b.id;
    case 'func':
      return b.kind === 'func' && a.subprog === b.subprog;
    case 'dynptr':
      return b.kind === 'dynptr' && a.type === b.type && a.first === b.first && a.readOnly === b.readOnly;
    case 'iter':
      return b.kind === 'iter' && a.btf === b.btf && a.id === b.id && a.state === b.state;
    case 'irq':
      return b.kind === 'irq' && a.family === b.family;
  }
}
