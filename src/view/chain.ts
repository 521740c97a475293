/**
 * The end of every view's prototype chain: a proxy that sees only the names nothing before it has. It makes `array[3]`
 * work for arrays of any length without an accessor for each index, and turns a misspelt field, which JavaScript would read as
 * undefined or silently add, into an error. What views do have never reaches it, and costs nothing more.
 */

import { BpfError } from '../errors.ts';
import { knownNames, meantName } from '../named.ts';
import { ArrayView } from './array.ts';
import { isStructView } from './struct.ts';
import { TYPE, type ValueType, View } from './view.ts';

type Typed = View & { readonly [TYPE]?: ValueType };

const end = new Proxy(Object.prototype, {
  get(target, key, receiver) {
    const index = indexOf(key);
    if (index >= 0 && receiver instanceof ArrayView) return receiver.at(index);
    // Tools look for names of their own in all objects: only what is probably a field's throws, as with global variables.
    if (typeof key === 'string' && !(key in target) && isStructView(receiver)) {
      if (meantName(receiver[TYPE].fields.keys(), key) !== undefined) throw noField(receiver, key);
    }
    return Reflect.get(target, key, receiver);
  },
  set(target, key, value, receiver) {
    const index = indexOf(key);
    if (index >= 0 && receiver instanceof ArrayView) receiver.set(index, value);
    else if (typeof key === 'string' && receiver instanceof View) {
      throw noField(receiver, key);
    } else return Reflect.set(target, key, value, receiver);
    return true;
  },
});

function noField(view: Typed, name: string): BpfError {
  const names = isStructView(view) ? knownNames([...view[TYPE].fields.keys()]) : '';
  return new BpfError('ENOENT', `${view[TYPE]?.name ?? 'the view'} has no field '${name}'${names}`);
}

/** The array index that a property key is, or −1. */
function indexOf(key: string | symbol): number {
  if (typeof key !== 'string') return -1;
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && String(index) === key ? index : -1;
}

/** Puts the proxy in its place; once, before the first view is made. */
export function endChain(): void {
  if (Object.getPrototypeOf(View.prototype) !== end) Object.setPrototypeOf(View.prototype, end);
}
