/**
 * Which types of two BTFs are the same for CO-RE. Three relations, from loose to strict: a field may be read through the
 * other's offset (fieldsCompatible), a type exists over there (typesCompatible), a type is like ours (typesMatch). The
 * rules are libbpf's; a budget bounds them on BTF made to be slow.
 */

import type { FormatError } from '../errors.ts';
import type { Btf } from './btf.ts';
import { failure } from './core-spec.ts';
import type { CoreRelo } from './ext.ts';
import { MAX_RESOLVE_DEPTH } from './layout.ts';
import { essentialName } from './names.ts';
import type { BtfComposite, BtfEnum, BtfEnum64, BtfFwd, BtfKind, BtfType } from './types.ts';

/** Comparisons that a relocation may take at most, and those that each adds for the next; real ones take some hundreds. */
const BUDGET = 2_000_000;
const REFILL = 20_000;

/** The same kind, or enum and enum64 (libbpf: btf_kind_core_compat). */
export function kindsCompatible(a: BtfKind, b: BtfKind): boolean {
  return a === b || (isEnumKind(a) && isEnumKind(b));
}

function isEnumKind(kind: BtfKind): boolean {
  return kind === 'enum' || kind === 'enum64';
}

export class CoreMatcher {
  readonly local: Btf;
  readonly target: Btf;
  #budget = BUDGET;
  #relo: CoreRelo | undefined;

  constructor(local: Btf, target: Btf) {
    this.local = local;
    this.target = target;
  }

  /** To be called before each relocation. */
  start(relo: CoreRelo): void {
    this.#relo = relo;
    this.#budget = Math.min(this.#budget + REFILL, BUDGET);
  }

  /** Counts comparisons. @throws FormatError (E2BIG) when the types need too many */
  spend(comparisons = 1): void {
    this.#budget -= comparisons;
    if (this.#budget < 0) throw this.tooDeep();
  }

  tooDeep(): FormatError {
    return failure(this.#relo!, 'the types are nested too deeply, or too large, to compare', 'E2BIG');
  }

  /** Whether a field of one type can be read at the place of the other (libbpf: bpf_core_fields_are_compat). */
  fieldsCompatible(localId: number, targetId: number): boolean {
    for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
      const a = this.local.type(this.local.resolve(localId));
      const b = this.target.type(this.target.resolve(targetId));
      if (isComposite(a) && isComposite(b)) return true;
      if (!kindsCompatible(a.kind, b.kind)) return false;
      switch (a.kind) {
        case 'ptr':
        case 'float':
          return true;
        case 'fwd':
        case 'enum':
        case 'enum64':
          return a.name === '' || b.name === '' || essentialName(a.name) === essentialName(b.name);
        case 'int':
          return intsCompatible(a, b);
        case 'array':
          if (b.kind !== 'array') return false;
          localId = a.type;
          targetId = b.type;
          break;
        default:
          return false;
      }
    }
    throw this.tooDeep();
  }

  /** Whether the target has the local type: names are equal already (libbpf: bpf_core_types_are_compat). */
  typesCompatible(localId: number, targetId: number, level = MAX_RESOLVE_DEPTH): boolean {
    if (!kindsCompatible(this.local.kindOf(localId), this.target.kindOf(targetId))) return false;
    for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
      this.spend();
      localId = this.local.resolve(localId);
      targetId = this.target.resolve(targetId);
      const a = this.local.type(localId);
      const b = this.target.type(targetId);
      if (!kindsCompatible(a.kind, b.kind)) return false;
      switch (a.kind) {
        case 'void':
        case 'struct':
        case 'union':
        case 'enum':
        case 'enum64':
        case 'fwd':
          return true;
        case 'int':
          return intsCompatible(a, b);
        case 'ptr':
        case 'array':
          if (b.kind !== a.kind) return false;
          localId = a.type;
          targetId = b.type;
          break;
        case 'func_proto': {
          if (b.kind !== 'func_proto' || a.params.length !== b.params.length) return false;
          if (level <= 0) throw this.tooDeep();
          for (const [i, param] of a.params.entries()) {
            const ids = [this.local.resolve(param.type), this.target.resolve(b.params[i].type)] as const;
            if (!this.typesCompatible(...ids, level - 1)) return false;
          }
          localId = a.type;
          targetId = b.type;
          break;
        }
        default:
          return false;
      }
    }
    throw this.tooDeep();
  }

  /** Whether the target's type has all that the local one has (libbpf: __bpf_core_types_match). */
  typesMatch(localId: number, targetId: number, behindPointer = false, level = MAX_RESOLVE_DEPTH): boolean {
    if (level <= 0) throw this.tooDeep();
    for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
      this.spend();
      const a = this.local.type(this.local.resolve(localId));
      const b = this.target.type(this.target.resolve(targetId));
      if (!namesMatch(a.name, b.name)) return false;
      switch (a.kind) {
        case 'void':
          return b.kind === 'void';
        case 'fwd':
          return fwdMatches(a, b, behindPointer);
        case 'enum':
        case 'enum64':
          return (b.kind === 'enum' || b.kind === 'enum64') && this.#enumsMatch(a, b);
        case 'struct':
        case 'union':
          // Behind a pointer name and kind suffice: following on would soon compare whole kernels.
          if (behindPointer) return a.kind === b.kind || (b.kind === 'fwd' && b.fwdKind === a.kind);
          return isComposite(b) && a.kind === b.kind && this.#membersMatch(a, b, level);
        case 'int':
          return b.kind === 'int' && a.size === b.size && a.signed === b.signed;
        case 'ptr':
          if (b.kind !== 'ptr') return false;
          behindPointer = true;
          break;
        case 'array':
          if (b.kind !== 'array' || a.nelems !== b.nelems) return false;
          break;
        case 'func_proto':
          if (b.kind !== 'func_proto' || a.params.length !== b.params.length) return false;
          for (const [i, param] of a.params.entries()) {
            if (!this.typesMatch(param.type, b.params[i].type, behindPointer, level - 1)) return false;
          }
          break;
        default:
          return false;
      }
      localId = a.type;
      targetId = b.type;
    }
    throw this.tooDeep();
  }

  /** Enumerators are compared by name, not by value. */
  #enumsMatch(a: BtfEnum | BtfEnum64, b: BtfEnum | BtfEnum64): boolean {
    if (a.size !== b.size || a.values.length > b.values.length) return false;
    this.spend(b.values.length);
    const names = new Set(b.values.map(({ name }) => essentialName(name)));
    return a.values.every(({ name }) => names.has(essentialName(name)));
  }

  #membersMatch(a: BtfComposite, b: BtfComposite, level: number): boolean {
    if (a.members.length > b.members.length) return false;
    return a.members.every((ours) =>
      b.members.some((theirs) => {
        this.spend();
        return (
          namesMatch(ours.name, theirs.name) && this.typesMatch(ours.type, theirs.type, false, level - 1)
        );
      }),
    );
  }
}

function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

/** All integers are compatible but the ones that old compilers used for bit fields. */
function intsCompatible(a: BtfType, b: BtfType): boolean {
  return a.kind === 'int' && b.kind === 'int' && a.bitOffset === 0 && b.bitOffset === 0;
}

function namesMatch(local: string, target: string): boolean {
  return target === '' ? local === '' : essentialName(local) === essentialName(target);
}

function fwdMatches(a: BtfFwd, b: BtfType, behindPointer: boolean): boolean {
  if (b.kind === 'fwd') return a.fwdKind === b.fwdKind;
  return behindPointer && b.kind === a.fwdKind;
}
