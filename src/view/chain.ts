/**
 * The end of every view's prototype chain: a proxy that sees only the names nothing before it has. It makes `array[3]`
 * work for arrays of any length without an accessor for each index, and turns a misspelt field in an assignment, which
 * JavaScript would silently add, into an error. What views do have never reaches it, and costs nothing more.
 */

import { BpfError } from '../errors.ts';
import { ArrayView } from './array.ts';
import { TYPE, type ValueType, View } from './view.ts';

type Typed = View & { readonly [TYPE]?: ValueType };

const end = new Proxy(Object.prototype, {
  get(target, key, receiver) {
    const index = indexOf(key);
    if (index >= 0 && receiver instanceof ArrayView) return receiver.at(index);
    return Reflect.get(target, key, receiver);
  },
  set(target, key, value, receiver) {
    const index = indexOf(key);
    if (index >= 0 && receiver instanceof ArrayView) receiver.set(index, value);
    else if (typeof key === 'string' && receiver instanceof View) {
      throw new BpfError('EINVAL', `${(receiver as Typed)[TYPE]?.name ?? 'the view'} has no field ${key}`);
    } else return Reflect.set(target, key, value, receiver);
    return true;
  },
});

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
