import type { Btf, BtfMember } from '../../btf/index.ts';
import { ERRNO } from '../../errors.ts';
import { embeddedBtf } from '../btf.ts';
import type { Cpu } from '../cpu.ts';
import { type KernelOffset, MEMORY_BYTES } from '../layout.ts';
import { structLayout } from '../struct-layout.ts';
import { putText } from './format.ts';
import { reach } from './reach.ts';
import { append } from './seq-file.ts';

/**
 * What lies in memory as text, by one of the kernel's types: `(struct list_head){.next = (struct list_head *)0x…,}`. What is 0 is left
 * out, unless it is asked for (Linux: btf_type_show). A type's text is made of its parts' texts, from inside out.
 */

/** Linux: BTF_F_*. */
const COMPACT = 1;
const NONAME = 2;
const ZERO = 8;
const ALL_FLAGS = 15;
/** Linux: BTF_SHOW_NAME_SIZE, with the final 0; and the most blanks at a line's beginning. */
const NAME_BYTES = 80;
const MOST_BLANKS = 32;
/** Linux: BTF_SHOW_MAX_ITER. */
const MAX_NESTING = 10;

/** Types of nothing that lies in memory. */
const NO_SIZE: readonly string[] = ['void', 'fwd', 'func', 'func_proto', 'var', 'datasec', 'decl_tag'];

/** A place in a structure: what it is called, or an array's element, which is called nothing. */
interface Place {
  readonly member?: BtfMember;
  readonly element?: boolean;
  /** An element of an array of characters. */
  readonly char?: boolean;
}

class TypedText {
  readonly #btf: Btf = embeddedBtf();
  readonly #view: DataView;
  readonly #flags: number;

  constructor(view: DataView, flags: number) {
    this.#view = view;
    this.#flags = flags;
  }

  /** @param at in kernel memory. @param depth of structures and arrays around it. */
  show(id: number, at: number, depth: number, place: Place): string {
    const resolved = this.#btf.resolve(id);
    const type = this.#btf.type(resolved);
    switch (type.kind) {
      case 'int':
        return this.#int(id, type.size, (type.encoding & 1) !== 0, at, depth, place);
      case 'ptr': {
        const value = this.#view.getBigUint64(at, true);
        return this.#value(`0x${value.toString(16).padStart(16, '0')}`, value === 0n, id, depth, place);
      }
      case 'enum':
      case 'enum64': {
        const signed = type.signed;
        const value = this.#number(at, type.size, signed);
        const name = type.values.find((each) => BigInt(each.value) === value)?.name;
        return this.#value(name ?? String(value), value === 0n, id, depth, place);
      }
      case 'array': {
        const size = this.#btf.sizeOf(type.type);
        const char = size === 1 && this.#btf.kindOf(this.#btf.resolve(type.type)) === 'int';
        const parts: string[] = [];
        for (let i = 0; i < type.nelems; i++) {
          if (char && this.#view.getUint8(at + i) === 0) break;
          parts.push(this.show(type.type, at + i * size, depth + 1, { element: true, char }));
        }
        return this.#whole(parts, ']', id, depth, place);
      }
      case 'struct':
      case 'union': {
        const inside = place.element === true;
        const parts = type.members.map((member) =>
          member.bitfieldSize > 0
            ? this.#bits(member, at, depth + 1, inside)
            : this.show(member.type, at + member.bitOffset / 8, depth + 1, { member, element: inside }),
        );
        return this.#whole(parts, '}', id, depth, place);
      }
      default:
        return this.#value('<unsupported kind>', false, id, depth, place);
    }
  }

  #int(id: number, size: number, signed: boolean, at: number, depth: number, place: Place): string {
    const value = this.#number(at, size, signed);
    const printable = place.char === true && value >= 0x20n && value < 0x7fn;
    const text = printable ? `'${String.fromCharCode(Number(value))}'` : String(value);
    return this.#value(text, value === 0n, id, depth, place);
  }

  #bits(member: BtfMember, at: number, depth: number, element: boolean): string {
    const byte = Math.floor(member.bitOffset / 8);
    let value = 0n;
    for (let i = 8; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + byte + i));
    value = BigInt.asUintN(member.bitfieldSize, value >> BigInt(member.bitOffset % 8));
    return this.#value(`0x${value.toString(16)}`, value === 0n, member.type, depth, { member, element });
  }

  #number(at: number, size: number, signed: boolean): bigint {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i));
    return signed ? BigInt.asIntN(8 * size, value) : value;
  }

  #value(text: string, isZero: boolean, id: number, depth: number, place: Place): string {
    if (isZero && (this.#flags & ZERO) === 0 && depth > 0) return '';
    return `${this.#indent(depth)}${this.#name(id, place)}${text}${this.#end(depth)}`;
  }

  #whole(parts: readonly string[], close: string, id: number, depth: number, place: Place): string {
    const inner = parts.join('');
    if (inner === '' && (this.#flags & ZERO) === 0 && depth > 0) return '';
    const head = `${this.#indent(depth)}${this.#name(id, place)}${this.#newline}`;
    return `${head}${inner}${this.#indent(depth)}${close}${this.#end(depth)}`;
  }

  /** `.member = (struct name *)`, and the parenthesis that opens a structure or an array. */
  #name(start: number, { member, element }: Place): string {
    if (element) return '';
    const btf = this.#btf;
    let id = member?.type ?? start;
    let typedef: string | undefined;
    let stars = '';
    let brackets = '';
    for (let nesting = 0; ; nesting++) {
      if (nesting === MAX_NESTING) return '';
      const type = btf.type(id);
      let inner = 0;
      if (type.kind === 'typedef') {
        typedef ??= type.name;
        inner = type.type;
      } else if (type.kind === 'array') {
        brackets += '[]';
        inner = type.type;
      } else if (type.kind === 'ptr') {
        stars += '*';
        inner = type.type;
      }
      if (inner === 0) break;
      id = this.#unqualified(inner);
    }
    const type = btf.type(id);
    const isWhole = type.kind === 'struct' || type.kind === 'union';
    const open = stars !== '' ? '' : brackets !== '' ? '[' : isWhole ? '{' : '';
    if ((this.#flags & NONAME) !== 0) return open;
    const word = isWhole ? type.kind : type.kind.startsWith('enum') ? 'enum' : '';
    const name = typedef ?? (btf.nameOf(id) || '');
    const prefix = typedef === undefined ? word : '';
    const called = member?.name ? `.${member.name} = ` : '';
    const blank = prefix !== '' && name !== '' ? ' ' : '';
    const text = `${called}(${prefix}${blank}${name}${stars && ` ${stars}`}${brackets})${open}`;
    return text.slice(0, NAME_BYTES - 1);
  }

  /** Linux: btf_type_skip_qualifiers. */
  #unqualified(id: number): number {
    for (let at = id; ; ) {
      const type = this.#btf.type(at);
      if (!('type' in type) || !/^(const|volatile|restrict|type_tag)$/.test(type.kind)) return at;
      at = type.type as number;
    }
  }

  get #newline(): string {
    return (this.#flags & COMPACT) !== 0 ? '' : '\n';
  }

  #indent(depth: number): string {
    return (this.#flags & COMPACT) !== 0 ? '' : ' '.repeat(Math.min(depth, MOST_BLANKS));
  }

  #end(depth: number): string {
    return `${depth === 0 ? '' : ','}${this.#newline}`;
  }
}

/** The text of what a struct btf_ptr says. @returns it, or a negative errno. */
function textOf({ kernel }: Cpu, pointer: KernelOffset, size: number, flags: number): string | number {
  const layout = structLayout('btf_ptr');
  const { view } = kernel.memory;
  if ((flags & ~ALL_FLAGS) !== 0 || flags > ALL_FLAGS || size !== layout.size) return -ERRNO.EINVAL;
  const id = view.getUint32(pointer + layout.at('type_id'), true);
  if (id === 0) return -ERRNO.EINVAL;
  const btf = embeddedBtf();
  if (id >= btf.count) return -ERRNO.ENOENT;
  if (NO_SIZE.includes(btf.kindOf(btf.resolve(id)))) return -ERRNO.EINVAL;
  const at = pointer + layout.at('ptr');
  const place = reach({ low: view.getUint32(at, true), high: view.getInt32(at + 4, true) });
  if (place < 0) return place;
  if (place + btf.sizeOf(id) > MEMORY_BYTES) return -ERRNO.EFAULT;
  return new TypedText(view, flags).show(id, place, 0, {});
}

/** @returns the length of the whole text, which may be more than there was room for. */
function snprintf_btf(
  cpu: Cpu,
  to: KernelOffset,
  room: number,
  pointer: KernelOffset,
  size: number,
  flags: number,
): number {
  const text = textOf(cpu, pointer, size, flags);
  if (typeof text === 'number') return text;
  const { bytes } = cpu.kernel.memory;
  const cut = text.slice(0, room - 1);
  putText(bytes, to, cut);
  bytes[to + cut.length] = 0;
  return text.length;
}

function seq_printf_btf(
  cpu: Cpu,
  seq: KernelOffset,
  pointer: KernelOffset,
  size: number,
  flags: number,
): number {
  const text = textOf(cpu, pointer, size, flags);
  if (typeof text === 'number') return text;
  // That it does not fit the file says, not the result.
  append(cpu, seq, text.length, (to) => putText(cpu.kernel.memory.bytes, to, text));
  return 0;
}

export const TYPED_TEXT_HELPERS = { snprintf_btf, seq_printf_btf };
