/**
 * What C does with `&`, `sizeof`, `p + i`, casts and container_of, as functions: as methods their names would be in the
 * way of fields. Each takes any view: of a struct, an array, or a {@link Pointer}, which stands for what it points to.
 */

import { BpfError } from '../errors.ts';
import { ArrayType, ArrayView } from './array.ts';
import { Pointer } from './pointer.ts';
import { isStructView, StructType } from './struct.ts';
import { OFFSET, SPACE, TYPE, type TypeTable, type ValueType, View } from './view.ts';

/** The address that a pointer to this would hold. @throws BpfError EINVAL when nothing can point into its memory */
export function addressOf(view: object): bigint {
  if (view instanceof Pointer) return view.address;
  const place = viewAt(view);
  return place[SPACE].memory.addressOf(place[OFFSET]);
}

/** Bytes, as `sizeof` of the struct or array, or of what a pointer points to. */
export function sizeOf(view: object): number {
  const place = viewAt(view);
  return place instanceof ArrayView ? place[TYPE].element.size * place.length : typeOf(place).size;
}

/** Whether two views are of the same place: an object is not always the same one for the same struct. */
export function samePlace(a: object, b: object): boolean {
  const [first, second] = [viewAt(a), viewAt(b)];
  return first[SPACE] === second[SPACE] && first[OFFSET] === second[OFFSET];
}

/** The struct or array `index` places on, as if this one were an element of an array: `(p + index)`. */
export function elementAt<T extends object>(view: T, index: number): T {
  const place = viewAt(view);
  if (!Number.isInteger(index)) throw new BpfError('EINVAL', `${index} is no whole number of elements`);
  if (place instanceof Pointer) return place.plus(index) as T;
  return make(typeOf(place), place, place[OFFSET] + index * sizeOf(view)) as T;
}

/**
 * The same memory as another type: `struct node`, `union u`, a typedef's name, or an integer's. For a struct or array
 * the result is a view; for others the value read there.
 *
 * @throws BpfError ENOENT when no type has this name
 */
export function castView<T = unknown>(view: object, typeName: string): T {
  const place = viewAt(view);
  return make(tableOf(place).named(typeName), place, place[OFFSET]) as T;
}

/**
 * The struct that has this view as its member (Linux: container_of).
 *
 * @param member its name; `a.b` for a member of a member
 * @throws BpfError ENOENT when there is no such type or member
 */
export function containerOf<T = unknown>(view: object, typeName: string, member: string): T {
  const place = viewAt(view);
  const container = tableOf(place).named(typeName);
  let offset = 0;
  let type = container;
  for (const name of member.split('.')) {
    const field = type instanceof StructType ? type.fields.get(name) : undefined;
    if (field === undefined) throw new BpfError('ENOENT', `${type.name} has no member ${name}`);
    offset += field.offset;
    type = field.type;
  }
  return make(container, place, place[OFFSET] - offset) as T;
}

function viewAt(view: object): View {
  if (!(view instanceof View)) throw new BpfError('EINVAL', 'this is no view of memory');
  if (view instanceof Pointer && !view.followable) {
    throw new BpfError(
      'EFAULT',
      `0x${view.address.toString(16)} is a kernel address; user space cannot look`,
    );
  }
  return view;
}

function typeOf(place: View): ValueType {
  if (isStructView(place)) return place[TYPE];
  if (place instanceof ArrayView) return place[TYPE];
  if (place instanceof Pointer) return place[TYPE].target;
  throw new BpfError('EINVAL', 'this is no view of memory');
}

function tableOf(place: View): TypeTable {
  const type = place instanceof Pointer ? place[TYPE] : typeOf(place);
  if (type instanceof StructType || type instanceof ArrayType) return type.types;
  return (place as Pointer)[TYPE].types;
}

function make(type: ValueType, place: View, offset: number): unknown {
  if (offset < 0) throw new BpfError('EFAULT', `${type.name}: ${-offset} bytes before the memory's start`);
  return type.read(new View(place[SPACE], offset), 0, 0);
}
