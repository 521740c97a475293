/**
 * The type table: turns BTF types into what reads and writes their values. Types are made when first asked for and once
 * for each id, so that a table over the BTF of a whole Linux kernel costs only what is looked at.
 */

import type { Btf, BtfKind, BtfType } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { ArrayType, ArrayView } from './array.ts';
import { endChain } from './chain.ts';
import { PointerType } from './pointer.ts';
import { BoolType, EnumType, FloatType, Int64NumberType, Integer, IntType, type Scalar } from './scalars.ts';
import { type BitFieldMaker, StructType } from './struct.ts';
import type { Space, TypeTable, Value, ValueType, View, ViewOptions } from './view.ts';

endChain();

/** A type without values: void, a function, a struct that is only declared, a float that JavaScript lacks. */
class OpaqueType implements ValueType {
  readonly size = 0;
  readonly slots = 0;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  read(): Value {
    throw new BpfError('EINVAL', `${this.name} has no value to read`);
  }

  write(_owner: View, _delta: number, _value: unknown, what: string): void {
    throw new BpfError('EINVAL', `${what}: ${this.name} has no value to write`);
  }
}

/** The kinds that a bare name may be of, in the order they are tried, and those that a keyword before it asks for. */
const NAMED_KINDS: readonly BtfKind[] = ['typedef', 'struct', 'union', 'int', 'enum', 'enum64', 'float'];
const KEYWORDS: Readonly<Record<string, readonly BtfKind[]>> = {
  struct: ['struct'],
  union: ['union'],
  enum: ['enum', 'enum64'],
};

export class ViewTypes implements TypeTable {
  static readonly #tables = new WeakMap<Btf, Map<string, ViewTypes>>();

  readonly btf: Btf;
  readonly #int64: 'bigint' | 'number';
  readonly #known = new Map<number, ValueType>();
  /** Arrays that pointers are looked at as, by element. */
  readonly #arrays = new Map<ValueType, ArrayType>();
  readonly #bitField: BitFieldMaker = (id, shift, bits) => this.#bits(id, shift, bits);

  private constructor(btf: Btf, int64: 'bigint' | 'number') {
    this.btf = btf;
    this.#int64 = int64;
  }

  /** The table for this BTF and these options; always the same. */
  static for(btf: Btf, { int64 = 'bigint' }: ViewOptions = {}): ViewTypes {
    const tables = ViewTypes.#tables.get(btf) ?? new Map<string, ViewTypes>();
    ViewTypes.#tables.set(btf, tables);
    const table = tables.get(int64) ?? new ViewTypes(btf, int64);
    tables.set(int64, table);
    return table;
  }

  /** @param id of a type, or of a variable: then its type */
  of(id: number): ValueType {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const resolved = this.btf.resolve(id);
    const type = resolved === id ? this.#make(id, this.btf.type(id)) : this.of(resolved);
    this.#known.set(id, type);
    return type;
  }

  named(name: string): ValueType {
    const [first, second] = name.trim().split(/\s+/);
    const kinds = second === undefined ? undefined : KEYWORDS[first];
    for (const kind of kinds ?? NAMED_KINDS) {
      const id = this.btf.idOf(kinds === undefined ? name.trim() : second, kind);
      if (id !== undefined) return this.of(id);
    }
    throw new BpfError('ENOENT', `no type is called ${name}`);
  }

  #make(id: number, type: BtfType): ValueType {
    const name = typeName(this.btf, id);
    switch (type.kind) {
      case 'int': {
        if (type.bitOffset !== 0 || type.bits !== type.size * 8) return this.#bits(id, 0, 0);
        const integer = Integer.ofSize(type.size, type.signed);
        return integer === undefined
          ? new OpaqueType(name)
          : this.#scalar(type, name, integer, type.size === 8);
      }
      case 'enum':
      case 'enum64': {
        const integer = Integer.ofSize(type.size, type.signed);
        return integer === undefined ? new OpaqueType(name) : new EnumType(name, integer, type.values);
      }
      case 'float':
        return FloatType.ofSize(name, type.size) ?? new OpaqueType(name);
      case 'ptr':
        return new PointerType(this, name, type.type, this.#arrayAt);
      case 'array': {
        const element = this.btf.type(this.btf.resolve(type.type));
        const text = element.kind === 'int' && element.size === 1 && element.name === 'char';
        return new ArrayType(this, name, this.of(type.type), type.nelems, text);
      }
      case 'struct':
      case 'union':
        return new StructType(this, name, type, this.#bitField);
      case 'fwd': {
        const full = this.btf.idOf(type.name, type.fwdKind);
        return full === undefined ? new OpaqueType(name) : this.of(full);
      }
      case 'var':
        return this.of(type.type);
      default:
        return new OpaqueType(name);
    }
  }

  #scalar(type: BtfType, name: string, integer: Integer, is64: boolean): Scalar {
    if (type.kind === 'int' && type.bool) return new BoolType(name, integer);
    return is64 && this.#int64 === 'number' ? new Int64NumberType(name, integer) : new IntType(name, integer);
  }

  /** A bit field of the type; 0 bits for an int that fills its storage only in part, as old compilers say it. */
  #bits(id: number, shift: number, bits: number): ValueType {
    const resolved = this.btf.resolve(id);
    const type = this.btf.type(resolved);
    const name = bits === 0 ? typeName(this.btf, resolved) : `${typeName(this.btf, resolved)}:${bits}`;
    switch (type.kind) {
      case 'int': {
        const at = shift + type.bitOffset;
        const width = bits === 0 ? type.bits : bits;
        if (at > 7 || width === 0 || width > 64) return new OpaqueType(name);
        const integer = Integer.ofBits(type.size, at, width, type.signed);
        return this.#scalar(type, name, integer, type.size === 8);
      }
      case 'enum':
      case 'enum64': {
        const width = bits === 0 ? type.size * 8 : bits;
        if (width > 64) return new OpaqueType(name);
        return new EnumType(name, Integer.ofBits(type.size, shift, width, type.signed), type.values);
      }
      default:
        return new OpaqueType(name);
    }
  }

  readonly #arrayAt = (element: ValueType, length: number, space: Space, offset: number) => {
    let type = this.#arrays.get(element);
    if (type === undefined) {
      type = new ArrayType(this, `${element.name} []`, element, 0, element.name === 'char');
      this.#arrays.set(element, type);
    }
    return new ArrayView(space, offset, type, length) as ArrayView;
  };
}

/** A type as error messages spell it: as C does, near enough. */
export function typeName(btf: Btf, id: number, depth = 0): string {
  const type = btf.type(id);
  if (depth > 32) return '…';
  switch (type.kind) {
    case 'ptr': {
      const target = typeName(btf, type.type, depth + 1);
      return target.endsWith('*') ? `${target}*` : `${target} *`;
    }
    case 'array':
      return `${typeName(btf, type.type, depth + 1)} [${type.nelems === 0 ? '' : type.nelems}]`;
    case 'struct':
    case 'union':
    case 'enum':
      return `${type.kind} ${type.name || '(anonymous)'}`;
    case 'enum64':
      return `enum ${type.name || '(anonymous)'}`;
    case 'fwd':
      return `${type.fwdKind} ${type.name}`;
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type_tag':
      return typeName(btf, type.type, depth + 1);
    case 'func_proto':
      return 'function';
    default:
      return type.name || type.kind;
  }
}
