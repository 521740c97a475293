/**
 * A whole program as text, to a unit of sections, symbols and declarations. This file walks the statements: labels and
 * instructions go to the builder, directives to directives.ts. docs/assembly.md describes the language.
 */

import { FormatError } from '../errors.ts';
import { Builder } from './builder.ts';
import { runDirective } from './directives.ts';
import type { Instruction } from './instruction.ts';
import { INSN_SIZE } from './instruction.ts';
import { Cursor } from './lexer.ts';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from './opcodes.ts';
import { parseInstruction } from './parse.ts';
import type { AssembledUnit } from './unit.ts';

/**
 * Assembles a program text.
 *
 * @param name the file's name, for errors and the unit.
 * @param constants numbers that the text may name, such as helpers (`call bpf_map_lookup_elem`) and flags.
 * @throws FormatError whose `offset` is the line, and which says what was expected there.
 */
export function assemble(
  text: string,
  name = 'asm',
  constants: Iterable<readonly [string, bigint]> = [],
): AssembledUnit {
  const builder = new Builder(name, constants);
  const at = new Cursor(text, name, builder.constants);
  let line = 1;
  while (!at.done) {
    line = at.peek().line;
    statement(at, builder);
  }
  return builder.finish(line);
}

/** One statement: any labels, then an instruction, a directive or nothing. */
function statement(at: Cursor, builder: Builder): void {
  while (at.at(':', 1) && (at.peek().kind === 'name' || at.peek().kind === 'number')) {
    const { text, line, kind } = at.take();
    if (kind === 'number' && !/^\d+$/.test(text)) at.reject(`expected a label, found \`${text}\``, line);
    at.take();
    builder.label(text, line);
  }
  const { kind, text, line } = at.peek();
  if (kind === 'name' && text.startsWith('.')) {
    at.take();
    runDirective(text, at, builder, line);
  } else if (kind !== 'end') {
    const { insns, reference } = parseInstruction(at);
    builder.instruction(insns, reference, line);
  }
  at.expectEnd();
}

/**
 * Assembles a text of instructions and labels alone, for tests and tools: every call goes to a function of the text or
 * to a helper by number.
 *
 * @throws FormatError as {@link assemble} does, and for sections, maps and externs.
 */
export function assembleInstructions(text: string, name = 'asm'): Instruction[] {
  const { sections, symbols, maps, externs } = assemble(text, name);
  const declared = maps[0] ?? externs[0];
  if (declared !== undefined) throw new FormatError(name, declared.line, 'expected instructions only');
  if (sections.length === 0) return [];
  const [code] = sections;
  if (sections.length > 1 || code.kind !== 'code')
    throw new FormatError(name, 1, 'expected one section of instructions');
  const insns = code.insns.map((insn) => ({ ...insn }));
  for (const { kind, offset, symbol, addend, line } of code.relocations) {
    const target = symbols.find((each) => each.name === symbol);
    if (target === undefined || addend !== 0)
      throw new FormatError(name, line, `\`${symbol}\` is no function here`);
    const slot = offset / INSN_SIZE;
    insns[slot].src = kind === 'call' ? BPF_PSEUDO_CALL : BPF_PSEUDO_FUNC;
    insns[slot].imm = target.offset / INSN_SIZE - (slot + 1);
  }
  return insns;
}
