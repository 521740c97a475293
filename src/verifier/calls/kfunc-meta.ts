import type { Btf, BtfFuncProto } from '../../btf/index.ts';
import type { SpecialField } from '../field-kinds.ts';
import type { MapInfo } from '../input.ts';
import { KF, type KfuncRow } from '../kfuncs.ts';
import type { IteratorPlace } from '../memory/iterator.ts';
import type { Scalar } from '../scalar/scalar.ts';
import type { DynptrType } from '../state/reg.ts';

/**
 * What the arguments of one kfunc call tell: of each other, and of the result (Linux: struct bpf_kfunc_call_arg_meta).
 */
export class KfuncMeta {
  readonly row: KfuncRow;
  readonly proto: BtfFuncProto;
  readonly btf: Btf;
  /** The argument that must be a constant. */
  constant: Scalar | undefined;
  /** The reference behind the arguments, and the register that is given back; 0 for none. */
  refId = 0;
  releaseRegister = 0;
  map: MapInfo | undefined;
  mapUid = 0;
  /** The type of the object that is an argument. */
  argBtf: Btf | undefined;
  argBtfId = 0;
  /** The object of bpf_refcount_acquire is owned: there will be another. */
  owningRef = false;
  /** The list or tree that is an argument. */
  root: SpecialField | undefined;
  dynptrId = 0;
  dynptrRefId = 0;
  dynptrType: DynptrType | undefined;
  /** The function argument; −1 for none. */
  subprog = -1;
  iterator: IteratorPlace | undefined;
  /** Of bpf_cast_to_kern_ctx: the type that is returned. */
  returnId = 0;

  constructor(row: KfuncRow, proto: BtfFuncProto, btf: Btf) {
    this.row = row;
    this.proto = proto;
    this.btf = btf;
  }

  get name(): string {
    return this.row.name;
  }

  has(flag: keyof typeof KF): boolean {
    return (this.row.flags & KF[flag]) !== 0;
  }

  get isIterator(): boolean {
    return this.has('KF_ITER_NEW') || this.has('KF_ITER_NEXT') || this.has('KF_ITER_DESTROY');
  }
}
