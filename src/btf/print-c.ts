/**
 * Prints types as a C header that clang compiles, in the form of the kernel's vmlinux.h. What a definition needs comes
 * before it: members held by value need their definition, what is only pointed to a declaration. Types that share a name
 * are told apart by `___2`, `___3`, which CO-RE ignores.
 */

import type { Btf } from './btf.ts';
import { CDeclarator, declTags, type PrintC } from './c-declarator.ts';
import { enumBody } from './c-enum.ts';
import { structBody } from './c-layout.ts';
import { CNames } from './c-names.ts';
import { Alignments, typeError } from './layout.ts';
import type { BtfComposite, BtfType } from './types.ts';

/** How deep definitions may need one another before the BTF counts as damaged. */
const MAX_DEPTH = 512;
/** Characters; Linux's own types take 4 million. Hostile BTF can ask for much more. */
const MAX_OUTPUT = 1 << 26;

export interface PrintCOptions {
  /** The name of the include guard, or false for none (no pragma then either). Default `__VMLINUX_H__`. */
  readonly guard?: string | false;
  /** Also declare functions tagged `bpf_kfunc`. Default true. */
  readonly kfuncs?: boolean;
}

/**
 * The own types of `btf`, and what they need of its base, as C.
 *
 * @throws FormatError when types are damaged, contain themselves or would print to more than 64 MiB
 */
export function printC(btf: Btf, { guard = '__VMLINUX_H__', kfuncs = true }: PrintCOptions = {}): string {
  const printer = new CPrinter(btf);
  for (let id = btf.startId; id < btf.count; id++) printer.printRoot(id);
  if (kfuncs) printer.printKfuncs();
  return guard === false ? printer.text() : wrap(guard, printer.text());
}

/** The definition of one type and of all that it needs, as C. */
export function printTypeC(btf: Btf, id: number): string {
  const printer = new CPrinter(btf);
  printer.printRoot(id);
  return printer.text();
}

function wrap(guard: string, text: string): string {
  return `#ifndef ${guard}
#define ${guard}

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

${text}
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* ${guard} */
`;
}

class CPrinter implements PrintC {
  readonly btf: Btf;
  readonly names: CNames;
  readonly alignments: Alignments;
  readonly #declarator: CDeclarator;
  readonly #output: string[] = [];
  #length = 0;
  readonly #declared = new Set<number>();
  /** The struct whose members are being looked through: it may mention itself. */
  #current = 0;
  /** Types whose definition is being printed (false) or done (true). */
  readonly #defined = new Map<number, boolean>();
  readonly #printedEnums = new Set<number>();

  constructor(btf: Btf) {
    this.btf = btf;
    this.names = new CNames(btf);
    this.alignments = new Alignments(btf);
    this.#declarator = new CDeclarator(this);
  }

  text(): string {
    return this.#output.join('');
  }

  /** Prints what stands in a header for its own sake: named types, and enumerators that nothing else brings in. */
  printRoot(id: number): void {
    const type = this.btf.type(id);
    switch (type.kind) {
      case 'struct':
      case 'union':
        if (type.name !== '') this.#define(id, 0);
        break;
      case 'enum':
      case 'enum64':
        if (type.name !== '' || !this.names.isReferenced(id)) this.#declare(id, 0);
        break;
      case 'typedef':
      case 'fwd':
      case 'int':
        this.#declare(id, 0);
        break;
    }
  }

  /** Behind the guard that bpftool has: a program may declare kfuncs itself, and not always as its kernel does. */
  printKfuncs(): void {
    const { btf } = this;
    const declarations: string[] = [];
    for (let id = btf.startId; id < btf.count; id++) {
      if (btf.kindOf(id) !== 'func' || !btf.declTags(id).includes('bpf_kfunc')) continue;
      const func = btf.type(id);
      if (func.kind !== 'func') continue;
      this.#declare(func.type, 0);
      const name = this.names.ordinary(id);
      declarations.push(`extern ${this.declare(func.type, name)} __weak __ksym;\n`);
    }
    if (declarations.length === 0) return;
    this.#emit(`#ifndef BPF_NO_KFUNC_PROTOTYPES\n${declarations.join('')}#endif\n`);
  }

  /** PrintC: a declaration of `name` as this type, on one line or with an anonymous type's body. */
  declare(id: number, name: string, indent = 0): string {
    return this.#declarator.declare(id, name, indent);
  }

  /** PrintC: the enumerators of an anonymous enum can be defined once only. */
  firstPrintOfEnum(id: number): boolean {
    if (this.#printedEnums.has(id)) return false;
    this.#printedEnums.add(id);
    return true;
  }

  /** PrintC: counts what will be output, before it is all in memory. */
  spend(characters: number): void {
    this.#length += characters;
    if (this.#length > MAX_OUTPUT) throw typeError(this.btf, 0, 'the types print to more than 64 MiB of C');
  }

  /** PrintC: `{ … }` of a struct, union or enum, with the attributes that follow it. */
  body(id: number, indent: number): string {
    const type = this.btf.type(id);
    switch (type.kind) {
      case 'struct':
      case 'union':
        return structBody(this, id, type, indent) + declTags(this.btf, id);
      case 'enum':
      case 'enum64':
        return enumBody(this, type, indent) + declTags(this.btf, id);
      default:
        throw typeError(this.btf, id, `a ${type.kind} has no body`);
    }
  }

  #emit(text: string): void {
    this.spend(text.length);
    this.#output.push(text);
  }

  /** Makes the type mentionable: behind a pointer, as a parameter. */
  #declare(id: number, depth: number): void {
    if (id === 0 || this.#declared.has(id)) return;
    if (depth > MAX_DEPTH) throw typeError(this.btf, id, `needs more than ${MAX_DEPTH} others`);
    const type = this.btf.type(id);
    if (id === this.#current) return;
    // Chains are walked again each time: what they lead to may have been skipped above.
    if (!isChain(type)) this.#declared.add(id);
    switch (type.kind) {
      case 'ptr':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        this.#declare(type.type, depth + 1);
        break;
      case 'array':
        this.#define(type.type, depth + 1);
        break;
      case 'func_proto':
        // A struct first mentioned in a prototype would be known there only, even if it is the one being defined.
        this.#within(0, () => {
          this.#declare(type.type, depth + 1);
          for (const { type: param } of type.params) this.#declare(param, depth + 1);
        });
        break;
      case 'typedef':
        // Compilers define it themselves.
        if (type.name === '__builtin_va_list') break;
        this.#within(0, () => this.#declare(type.type, depth + 1));
        this.#emit(
          `typedef ${this.declare(type.type, this.names.ordinary(id))}${declTags(this.btf, id)};\n\n`,
        );
        break;
      case 'int':
      case 'float':
        this.#declareNumber(id);
        break;
      case 'fwd':
        this.#emit(`${type.fwdKind} ${this.names.tag(id)};\n\n`);
        break;
      case 'struct':
      case 'union':
        if (type.name === '') this.#defineMembers(type, depth + 1);
        else if (this.#defined.get(id) !== true) this.#emit(`${type.kind} ${this.names.tag(id)};\n\n`);
        break;
      case 'enum':
      case 'enum64':
        if (type.name !== '') this.#emit(`enum ${this.names.tag(id)} ${this.body(id, 0)};\n\n`);
        else if (!this.names.isReferenced(id) && this.firstPrintOfEnum(id)) {
          this.#emit(`enum ${this.body(id, 0)};\n\n`);
        }
        break;
    }
  }

  /** Makes the type usable by value. */
  #define(id: number, depth: number): void {
    if (depth > MAX_DEPTH) throw typeError(this.btf, id, `needs more than ${MAX_DEPTH} others`);
    const type = this.btf.type(id);
    switch (type.kind) {
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
      case 'array':
        this.#define(type.type, depth + 1);
        break;
      case 'typedef':
        if (this.#defined.has(id)) break;
        this.#defined.set(id, true);
        this.#define(type.type, depth + 1);
        this.#declare(id, depth + 1);
        break;
      case 'struct':
      case 'union':
        this.#defineComposite(id, type, depth);
        break;
      default:
        this.#declare(id, depth);
    }
  }

  #defineComposite(id: number, type: BtfComposite, depth: number): void {
    const state = this.#defined.get(id);
    if (state === true) return;
    if (state === false) throw typeError(this.btf, id, `${type.kind} ${type.name} contains itself`);
    this.#defined.set(id, false);
    // An anonymous struct stands within the one that has it.
    this.#within(type.name === '' ? this.#current : id, () => this.#defineMembers(type, depth + 1));
    this.#defined.set(id, true);
    if (type.name !== '') this.#emit(`${type.kind} ${this.names.tag(id)} ${this.body(id, 0)};\n\n`);
  }

  #within(current: number, walk: () => void): void {
    const outer = this.#current;
    this.#current = current;
    walk();
    this.#current = outer;
  }

  #defineMembers(type: BtfComposite, depth: number): void {
    for (const member of type.members) this.#define(member.type, depth);
  }

  /** Numbers that C has no name for (Rust's u32, Zig's) become typedefs of what C calls them. */
  #declareNumber(id: number): void {
    const definition = this.names.foreignNumber(id);
    if (definition !== undefined) this.#emit(`typedef ${definition} ${this.names.number(id)};\n\n`);
  }
}

function isChain({ kind }: BtfType): boolean {
  return (
    kind === 'ptr' || kind === 'const' || kind === 'volatile' || kind === 'restrict' || kind === 'type_tag'
  );
}
