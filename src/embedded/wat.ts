import type { Translation } from '../jit/index.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { printWat } from '../wat/index.ts';

/** What the JIT made of a program, as text: each piece of code stands behind the source line that it is of. */
export function watOf(program: VerifiedProgram, { bytes, positions }: Translation): string {
  const insns = new Map<number, number>();
  positions.offsets.forEach((offset, i) => {
    // Of several instructions that begin here the last one is it: those before it made no code.
    insns.set(offset, positions.insns[i]);
  });
  let last = '';
  return printWat(bytes, {
    annotate: (offset) => {
      const insn = insns.get(offset);
      const source = insn === undefined ? undefined : program.sourceAt(insn);
      if (source === undefined) return undefined;
      const line = `${source.file}:${source.line}: ${source.text.trim()}`;
      if (line === last) return undefined;
      last = line;
      return line;
    },
  });
}
