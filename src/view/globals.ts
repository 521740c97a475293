/**
 * Global variables as one object with a property for each, over all data sections of a program, each in a memory of its
 * own. Assigning to a property writes the variable.
 */

import type { Btf } from '../btf/index.ts';
import { BpfError } from '../errors.ts';
import { named } from '../named.ts';
import type { ViewMemory } from './memory.ts';
import { inspectView, viewToJson } from './plain.ts';
import { ViewTypes } from './types.ts';
import { INSPECT, Space, View, type ViewOptions } from './view.ts';

export interface GlobalVariable {
  readonly name: string;
  /** BTF id of its type, or of its `var`. */
  readonly type: number;
  /** Bytes from the start of its section. */
  readonly offset: number;
}

/** A data section: where it starts in a memory, and what lies in it. */
export interface GlobalSection {
  readonly memory: ViewMemory;
  /** Bytes from the start of the memory. */
  readonly base: number;
  readonly variables: readonly GlobalVariable[];
}

/**
 * An object with the variables of all sections as properties. Of two static variables with one name, the first is meant.
 * Other names throw ENOENT. `T` is the generated interface, where there is one.
 */
export function globalsView<T extends object = { [name: string]: unknown }>(
  btf: Btf,
  sections: readonly GlobalSection[],
  options?: ViewOptions,
): T {
  const types = ViewTypes.for(btf, options);
  const globals: object = Object.create(null);
  for (const { memory, base, variables } of sections) {
    const section = new View(Space.of(memory), base);
    let slots = 0;
    for (const { name, type: id, offset } of variables) {
      if (Object.hasOwn(globals, name)) continue;
      const type = types.of(id);
      const slot = slots;
      slots += type.slots;
      Object.defineProperty(globals, name, {
        get: () => type.read(section, offset, slot),
        set: (value: unknown) => type.write(section, offset, value, name),
        enumerable: true,
      });
    }
  }
  Object.defineProperty(globals, INSPECT, { value: inspectView });
  if (!Object.hasOwn(globals, 'toJSON')) Object.defineProperty(globals, 'toJSON', { value: viewToJson });
  return Object.preventExtensions(named(globals, 'there is no global variable')) as T;
}

/**
 * The value of type `typeId` at `offset` bytes into `memory`: a view for a struct, union or array; for others the value
 * as it is now. `T` is what the caller knows it to be.
 *
 * @throws BpfError EINVAL for types without values, and what `memory.touch` throws
 */
export function viewOf<T = unknown>(
  btf: Btf,
  typeId: number,
  memory: ViewMemory,
  offset: number,
  options?: ViewOptions,
): T {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new BpfError('EFAULT', `no offset: ${offset}`);
  const type = ViewTypes.for(btf, options).of(typeId);
  return type.read(new View(Space.of(memory), offset), 0, 0) as T;
}

/** A type by its name, to look at any place as it. */
export interface NamedType {
  /** Bytes; 0 for what has no values. */
  readonly size: number;
  /** The value at `offset` bytes into a memory, as {@link viewOf} gives it. */
  at(memory: ViewMemory, offset: number): unknown;
}

/** @throws BpfError ENOENT when no type has this name: `struct node`, a typedef's, an integer's */
export function viewNamed(btf: Btf, name: string, options?: ViewOptions): NamedType {
  const type = ViewTypes.for(btf, options).named(name);
  return {
    size: type.size,
    at: (memory, offset) => type.read(new View(Space.of(memory), offset), 0, 0),
  };
}

/**
 * Writes a value of type `typeId` to the start of `memory`: a number, text, an array, an object with a struct's fields.
 *
 * @param what names the place in errors
 * @throws BpfError EINVAL for a value of the wrong kind, ERANGE for one that does not fit
 */
export function writeValue(
  btf: Btf,
  typeId: number,
  memory: ViewMemory,
  value: unknown,
  what: string,
  options?: ViewOptions,
): void {
  ViewTypes.for(btf, options)
    .of(typeId)
    .write(new View(Space.of(memory), 0), 0, value, what);
}
