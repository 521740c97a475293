import type { SourceLine } from '../../object/link.ts';
import { ACCESS_EXPLANATIONS } from './accesses.ts';
import { CALL_EXPLANATIONS } from './calls.ts';
import { FLOW_EXPLANATIONS } from './flow.ts';
import { KIND_EXPLANATIONS } from './kinds.ts';

/**
 * What a rejection means, in plain sentences: what is not proven, where in the source, and what usually fixes it. Linux's
 * words stay what people search for; these stand beside them.
 */

/** What a message means. The first pattern that fits is taken: special ones stand before general ones. */
export interface Explanation {
  readonly pattern: RegExp;
  /** What is not proven. `$1` and its like are the pattern's groups, `$before` is the line of the log before the message. */
  readonly why: string;
  /** What usually helps. */
  readonly fix: string;
}

/** A rejection, as far as explaining it goes. */
export interface Rejected {
  /** The verifier's last line. */
  readonly problem: string;
  /** The slot, when the problem has one. */
  readonly insn: number | undefined;
  readonly source: Pick<SourceLine, 'file' | 'line' | 'text'> | undefined;
  /** As far as there is one. */
  readonly log?: string;
}

const ALL = [...KIND_EXPLANATIONS, ...FLOW_EXPLANATIONS, ...CALL_EXPLANATIONS, ...ACCESS_EXPLANATIONS];

/** Two or three sentences: what is not proven, where, and what usually fixes it. One alone for a message that is not known. */
export function explain({ problem, insn, source, log = '' }: Rejected): string[] {
  const where =
    source !== undefined
      ? `at ${source.file}:${source.line}, \`${source.text.trim().replace(/\s+/g, ' ')}\``
      : insn !== undefined
        ? `at instruction ${insn}`
        : '';
  for (const { pattern, why, fix } of ALL) {
    const found = pattern.exec(problem);
    if (found === null) continue;
    const fill = (text: string) =>
      text
        .replace(/\$(\d)/g, (_, group) => found[Number(group)] ?? '')
        .replace('$before', () => lineBefore(log, problem));
    return [
      `${capital(fill(why))}.`,
      ...(where === '' ? [] : [`It is found ${where}.`]),
      `${capital(fill(fix))}.`,
    ];
  }
  return where === '' ? [] : [`It is found ${where}.`];
}

/** The line of a log before the last one that is this. */
function lineBefore(log: string, line: string): string {
  const lines = log.split('\n');
  return lines[lines.lastIndexOf(line) - 1] ?? 'the log says which argument';
}

function capital(text: string): string {
  // Registers and names stay as they are written.
  return /^(r\d|bpf_|[a-z]+\()/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}
