import { slots } from '../isa/instruction.ts';
import { opcode } from '../isa/opcodes.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import type { Analyses } from './analyses.ts';
import { type PageRun, pageRun } from './page-runs.ts';
import type { Unit } from './unit.ts';
import { loopAround, type Point } from './versions.ts';

/** What is known of the loops of a unit that pass a may_goto: where a version of it may begin (emit/versions.ts). */

/** Of a frame's may_goto. */
interface LoopRun {
  readonly frame: number;
  readonly run: PageRun;
}

export class Loops {
  /** Every may_goto that leads on and out. */
  readonly points: readonly Point[];
  readonly #program: VerifiedProgram;
  readonly #analyses: Analyses;
  readonly #unit: Unit;
  #knownRuns: ReadonlyMap<number, LoopRun> | undefined;

  constructor(program: VerifiedProgram, analyses: Analyses, unit: Unit) {
    this.#program = program;
    this.#analyses = analyses;
    this.#unit = unit;
    this.points = unit.nodes.flatMap((node) => {
      if (node.kind !== 'code' || node.end === node.start || node.next.length !== 2) return [];
      const at = node.end - 1;
      return opcode(program.insns[at].code)?.kind === 'may_goto' ? [{ frame: node.frame, at }] : [];
    });
  }

  /** One number for a point. */
  key({ frame, at }: Point): number {
    return frame * this.#program.insns.length + at;
  }

  /** The runs of rounds that loops have, by their may_goto's {@link key}. */
  get runs(): ReadonlyMap<number, LoopRun> {
    this.#knownRuns ??= this.#findRuns();
    return this.#knownRuns;
  }

  #findRuns(): Map<number, LoopRun> {
    const found = new Map<number, LoopRun>();
    const { frames, nodes } = this.#unit;
    if (!this.#analyses.hasRuns) return found;
    for (const point of this.points) {
      const { node, loop } = loopAround(nodes, point);
      const { plan } = frames[point.frame];
      const run = pageRun(nodes, loop, node, this.#program.insns, ({ start, end }) =>
        this.#analyses.checks(plan, start, end),
      );
      if (run !== undefined) found.set(this.key(point), { frame: point.frame, run });
    }
    return found;
  }

  /** Whether only constants are loaded before a may_goto in its node, so that they may be loaded again. */
  restarts({ frame, at }: Point): boolean {
    const { insns } = this.#program;
    const node = this.#unit.nodes.find(
      (each) => each.kind === 'code' && each.frame === frame && each.start <= at && at < each.end,
    );
    if (node?.kind !== 'code') return false;
    for (let slot = node.start; slot < at; slot += slots(insns[slot])) {
      const row = opcode(insns[slot].code);
      if (row?.kind !== 'ld_imm64' && (row?.kind !== 'alu' || row.op !== 'mov' || row.source !== 'K'))
        return false;
    }
    return true;
  }
}
