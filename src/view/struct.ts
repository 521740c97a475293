/**
 * Structs and unions. Each type gets one class, made when first needed, whose prototype has an accessor for each field;
 * members of anonymous structs and unions count as the outer struct's, as in C. Nothing is generated as source text:
 * pages that forbid eval can use views. As own properties, which Object.keys and spreading would see, they would cost 0.2 µs each for
 * every view: a walk through a list makes one a node.
 */

import type { BtfComposite } from '../btf/index.ts';
import { FormatError } from '../errors.ts';
import { knownNames } from '../named.ts';
import {
  badValue,
  CACHE,
  KEEP,
  OFFSET,
  SPACE,
  type Space,
  type StructView,
  TYPE,
  type TypeTable,
  type ValueType,
  View,
} from './view.ts';

/** Anonymous structs within each other: more is a circle, which no C program can declare. */
const MAX_ANONYMOUS = 32;

export interface Field {
  readonly name: string;
  readonly type: ValueType;
  /** Bytes from the start of the struct. */
  readonly offset: number;
  /** First cache element of its owner. */
  readonly slot: number;
}

/** Gives the type of a bit field: `bits` bits, after `shift` bits of its first byte, of the type `id`. */
export type BitFieldMaker = (id: number, shift: number, bits: number) => ValueType;

type StructClass = new (space: Space, offset: number) => View;

export class StructType implements ValueType {
  readonly name: string;
  readonly size: number;
  readonly slots = 1;
  readonly types: TypeTable;
  readonly #composite: BtfComposite;
  readonly #bitField: BitFieldMaker;
  #fields: Map<string, Field> | undefined;
  #class: StructClass | undefined;

  constructor(types: TypeTable, name: string, composite: BtfComposite, bitField: BitFieldMaker) {
    this.name = name;
    this.size = composite.size;
    this.types = types;
    this.#composite = composite;
    this.#bitField = bitField;
  }

  /** By name, those of anonymous members included. */
  get fields(): ReadonlyMap<string, Field> {
    this.#fields ??= this.#findFields();
    return this.#fields;
  }

  create(space: Space, offset: number): StructView {
    this.#class ??= structClass(this);
    // The class has the fields, which the type system cannot see.
    return new this.#class(space, offset) as unknown as StructView;
  }

  read(owner: View, delta: number, slot: number): StructView {
    const known = owner[CACHE]?.[slot];
    if (known !== undefined) return known as StructView;
    const view = this.create(owner[SPACE], owner[OFFSET] + delta);
    owner[KEEP](slot, view);
    return view;
  }

  /** Copies a view of the same type, or assigns the fields that an object has; the others stay. */
  write(owner: View, delta: number, value: unknown, what: string): void {
    const space = owner[SPACE];
    const at = owner[OFFSET] + delta;
    if (isStructView(value)) {
      const type = value[TYPE];
      if (type !== this && (type.name !== this.name || type.size !== this.size)) {
        throw badValue('EINVAL', what, value, `of type ${type.name} is no ${this.name}`);
      }
      value[SPACE].memory.touch(value[OFFSET], this.size, false);
      space.memory.touch(at, this.size, true);
      space.write(at, value[SPACE].bytes(value[OFFSET], this.size));
      return;
    }
    if (typeof value !== 'object' || value === null) {
      throw badValue('EINVAL', what, value, `is no ${this.name} and no object with its fields`);
    }
    if (SPACE in value) {
      const advice =
        'is what spreading a view gives, which copies no fields: assign the view, or toPlain() of it';
      throw badValue('EINVAL', what, value, advice);
    }
    const place = new View(space, at);
    for (const [name, part] of Object.entries(value)) {
      const field = this.fields.get(name);
      if (field === undefined) {
        const names = knownNames([...this.fields.keys()]);
        throw badValue('EINVAL', what, name, `is no field of ${this.name}${names}`);
      }
      field.type.write(place, field.offset, part, `${what}.${name}`);
    }
  }

  #findFields(): Map<string, Field> {
    const fields = new Map<string, Field>();
    let slots = 0;
    const visit = (composite: BtfComposite, base: number, depth: number): void => {
      if (depth > MAX_ANONYMOUS) throw new FormatError('.BTF', 0, `${this.name} contains itself`);
      for (const member of composite.members) {
        const bit = base + member.bitOffset;
        if (member.name === '') {
          const inner = this.types.btf.type(this.types.btf.resolve(member.type));
          if (inner.kind === 'struct' || inner.kind === 'union') visit(inner, bit, depth + 1);
          continue;
        }
        if (fields.has(member.name)) continue;
        const isBits = member.bitfieldSize !== 0 || bit % 8 !== 0;
        const type = isBits
          ? this.#bitField(member.type, bit % 8, member.bitfieldSize)
          : this.types.of(member.type);
        fields.set(member.name, { name: member.name, type, offset: Math.floor(bit / 8), slot: slots });
        slots += type.slots;
      }
    };
    visit(this.#composite, 0, 0);
    return fields;
  }
}

/** What all struct views have in common; it tells them from other views. */
export class StructBase extends View {
  /** On the prototype of each struct's class. */
  declare readonly [TYPE]: StructType;
}

export function isStructView(value: unknown): value is StructBase {
  return value instanceof StructBase;
}

function structClass(type: StructType): StructClass {
  const Struct = class extends StructBase {};
  Object.defineProperty(Struct, 'name', { value: type.name });
  Object.defineProperty(Struct.prototype, TYPE, { value: type });
  for (const field of type.fields.values()) {
    Object.defineProperty(Struct.prototype, field.name, accessor(type, field));
  }
  return Struct;
}

function accessor({ name: owner }: StructType, { name, type, offset, slot }: Field): PropertyDescriptor {
  const what = `${owner}.${name}`;
  return {
    get(this: View) {
      return type.read(this, offset, slot);
    },
    set(this: View, value: unknown) {
      type.write(this, offset, value, what);
    },
    enumerable: true,
    configurable: true,
  };
}
