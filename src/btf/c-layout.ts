/**
 * Prints the body of a struct or union so that a C compiler gives every member the offset that BTF says. It follows the
 * compiler's own placement and, where that would differ, fills the gap with unnamed bit fields or packs the struct.
 */

import { declTags, INDENT, type PrintC } from './c-declarator.ts';
import { identifier } from './name-space.ts';
import type { BtfComposite, BtfMember } from './types.ts';

/** Fillers from the widest: each is used where its alignment holds anyway. */
const FILLERS = [
  ['long', 64],
  ['int', 32],
  ['short', 16],
  ['char', 8],
] as const;

/** Bits from which a gap is filled with a named array instead. */
const LARGE_GAP = 4096;

export function structBody(printer: PrintC, id: number, type: BtfComposite, indent: number): string {
  const layout = layoutOf(printer, id, type);
  const tabs = INDENT.repeat(indent + 1);
  const lines: string[] = [];
  /** Bits that are placed so far. */
  let end = 0;
  for (const [index, member] of type.members.entries()) {
    if (type.kind === 'struct') {
      if (placement(printer, member, end, layout.packed) < member.bitOffset) {
        lines.push(...fill(end, member.bitOffset).map((filler) => `${tabs}${filler}\n`));
      }
      end = member.bitOffset + bitsOf(printer, member);
    } else {
      end = Math.max(end, bitsOf(printer, member));
    }
    const width = member.bitfieldSize === 0 ? '' : `: ${member.bitfieldSize}`;
    const tags = declTags(printer.btf, id, index);
    const line = `${tabs}${declareMember(printer, member, indent + 1)}${width}${tags};\n`;
    printer.spend(line.length);
    lines.push(line);
  }
  return `{\n${lines.join('')}${tail(printer, type, end, layout, indent)}`;
}

function declareMember(printer: PrintC, { name, type: id }: BtfMember, indent: number): string {
  if (name !== '') return printer.declare(id, identifier(name), indent);
  const type = printer.btf.type(id);
  // An anonymous member of a named type (-fms-extensions) is written out, which every compiler takes.
  if ((type.kind === 'struct' || type.kind === 'union') && type.name !== '') {
    return `${type.kind} ${printer.body(id, indent)}`;
  }
  return printer.declare(id, '', indent);
}

/** The end of the body: what brings the type to its size, and attributes. */
function tail(
  printer: PrintC,
  type: BtfComposite,
  end: number,
  { alignment, packed }: Layout,
  indent: number,
): string {
  const close = `${INDENT.repeat(indent)}}`;
  if (packed && type.kind === 'struct') {
    const filled = fill(end, type.size * 8).map((filler) => `${INDENT.repeat(indent + 1)}${filler}\n`);
    return `${filled.join('')}${close} __attribute__((packed))`;
  }
  const natural = alignUp(end, alignment * 8);
  if (natural >= type.size * 8) return packed ? `${close} __attribute__((packed))` : close;
  if (type.kind === 'union') {
    // Unnamed bit fields reach no further than 64 bits; a union larger than its members was aligned by hand.
    const aligned = 2 ** Math.ceil(Math.log2(Math.max(type.size - end / 8, 1)));
    const wanted = type.size % (aligned * 2) === 0 ? aligned * 2 : aligned;
    return `${close} __attribute__((aligned(${type.size % wanted === 0 ? wanted : 1})))`;
  }
  const filled = fill(end, type.size * 8).map((filler) => `${INDENT.repeat(indent + 1)}${filler}\n`);
  printer.spend(filled.length * 16);
  return `${filled.join('')}${close}`;
}

interface Layout {
  /** Bytes. */
  readonly alignment: number;
  /** Some member does not lie where its alignment would put it. */
  readonly packed: boolean;
}

function layoutOf({ alignments }: PrintC, id: number, type: BtfComposite): Layout {
  const alignment = alignments.of(id);
  return {
    alignment,
    packed: alignment === 1 && type.members.some((member) => alignments.of(member.type) > 1),
  };
}

/** The bit offset that a compiler gives a member which follows `end` bits. */
function placement({ btf, alignments }: PrintC, member: BtfMember, end: number, packed: boolean): number {
  if (member.bitfieldSize === 0) return alignUp(end, packed ? 8 : alignments.of(member.type) * 8);
  const unit = btf.sizeOf(member.type) * 8;
  return !packed && (end % unit) + member.bitfieldSize > unit ? alignUp(end, unit) : end;
}

function bitsOf({ btf }: PrintC, member: BtfMember): number {
  return member.bitfieldSize > 0 ? member.bitfieldSize : btf.sizeOf(member.type) * 8;
}

/** Unnamed members that occupy exactly the bits from `end` to `next`. */
function fill(end: number, next: number): string[] {
  const fillers: string[] = [];
  while (end < next) {
    const gap = next - end;
    if (end % 8 === 0 && gap >= LARGE_GAP) {
      const bytes = Math.floor(gap / 8);
      fillers.push(`char __pad${end / 8}[${bytes}];`);
      end += bytes * 8;
      continue;
    }
    const [type, bits] = FILLERS.find(([, width]) => end % width === 0 && gap >= width) ?? ['char', 0];
    const width = bits > 0 ? bits : Math.min(8 - (end % 8), gap);
    fillers.push(`${type}: ${width};`);
    end += width;
  }
  return fillers;
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
