import type { VerifiedProgram } from '../../verifier/result.ts';
import type { Analyses } from '../analyses.ts';
import type { Graph } from '../cfg.ts';
import { Code } from '../encode/code.ts';
import { type ModuleBuilder, RETURNED_AT } from '../encode/module.ts';
import { OP, TYPE, type ValueType } from '../encode/opcodes.ts';
import { Liveness } from '../liveness.ts';
import { Loops } from '../loops.ts';
import type { FunctionPlan } from '../plan.ts';
import type { JitOptions, Target } from '../target.ts';
import { type Unit, unitOf } from '../unit.ts';
import { enteredAt, enteredBehind, leftAt, type Point } from '../versions.ts';
import { emitCredit } from './credit.ts';
import { type Callees, Emitter, type Exits } from './emitter.ts';
import { emitGraph, emitLoopStart } from './function.ts';
import { pushIterations } from './page-runs.ts';

/**
 * One unit, several WebAssembly functions. The *fast* one relies on its checks: where one fails it is left for good, by a
 * tail call that hands all living variables over to the *careful* one, which is entered at that very instruction and
 * checks everything by itself. So in fast code nothing comes back from a slow path: there is no call in it that was not
 * in the program, and V8 has no reason to keep variables in memory around one.
 *
 * A may_goto that has used up its iterations leaves in the same way, for a version that begins behind it: which asks for
 * more iterations first, and is fast code again. The careful version goes there, too, from time to time. As a welcome
 * side effect a loop that runs for long gets into code that V8 has optimised meanwhile.
 */

export interface UnitContext {
  readonly program: VerifiedProgram;
  readonly target: Target;
  readonly options: JitOptions;
  readonly callees: Callees;
  readonly plans: readonly FunctionPlan[];
  readonly module: ModuleBuilder;
  readonly analyses: Analyses;
}

/** Instructions up to which a unit gets more than one version, and may_goto that get one. */
const LARGEST = 5_000;
/** Instructions from which on it is left at its first may_goto, and variables that may live there. */
const LONG = 256;
const FEW_VARIABLES = 16;
/** What to expect of a version. */
const BYTES_AN_INSN = 32;
const MOST_LOOPS = 12;
/** WebAssembly engines take 1,000 parameters. */
const MOST_VARIABLES = 900;
/** The registers that a function takes as arguments, in order. */
export function argumentRegisters({ args }: FunctionPlan): number[] {
  return [1, 2, 3, 4, 5].filter((register) => (args & (1 << register)) !== 0);
}

export class Versions {
  readonly #context: UnitContext;
  readonly #plan: FunctionPlan;
  readonly #unit: Unit;
  readonly #index: number;
  /** Slots of all its nodes. */
  #size = 0;
  #knownLiveness: Liveness | undefined;
  readonly #loops: Loops;
  /** Where the fast versions are left for the careful one; the order numbers its entries. */
  readonly #points: Point[] = [];
  readonly #pointNumbers = new Map<number, number>();
  /** Functions of the versions that begin behind a may_goto. */
  readonly #behind = new Map<number, { readonly point: Point; readonly index: number }>();
  readonly #pending: number[] = [];
  #careful: number | undefined;

  /** @param index the function that is called for the unit. */
  constructor(context: UnitContext, number: number, index: number) {
    this.#context = context;
    this.#plan = context.plans[number];
    this.#unit = unitOf(context.program, context.plans, number, context.options);
    this.#index = index;
    this.#loops = new Loops(context.program, context.analyses, this.#unit);
    for (const node of this.#unit.nodes) if (node.kind === 'code') this.#size += node.end - node.start;
  }

  /** Only code that is left for another version needs it. */
  get #liveness(): Liveness {
    const { program, plans, callees } = this.#context;
    this.#knownLiveness ??= new Liveness(program, plans, this.#unit, (insn) => callees.callOut(insn));
    return this.#knownLiveness;
  }

  /** Emits all versions. */
  define(): void {
    this.#defineAll();
    // What was put into it may be in others, too.
    this.#context.analyses.forget(this.#plan);
  }

  #defineAll(): void {
    const { nodes } = this.#unit;
    if (!this.#hasVersions()) {
      this.#emitMain(nodes, ALONE);
      return;
    }
    const exits = this.#fastExits();
    if (this.#endsAtMayGotos()) {
      const goOnBehind = (frame: number, at: number) => {
        if (this.#emitting !== undefined) this.#leaveForBehind(this.#emitting, { frame, at });
      };
      this.#emitMain(leftAt(nodes, this.#loops.points), { ...exits, goOnBehind });
    } else this.#emitMain(nodes, exits);
    for (let key = this.#pending.pop(); key !== undefined; key = this.#pending.pop()) this.#emitBehind(key);
    // What the careful version leads to may in turn lead to it, at points that it has to have.
    if (this.#careful !== undefined) {
      for (const point of this.#loops.points) this.#versionBehind(point);
      for (let key = this.#pending.pop(); key !== undefined; key = this.#pending.pop()) this.#emitBehind(key);
      this.#emitCareful(this.#careful);
    }
  }

  #hasVersions(): boolean {
    const { variables } = this.#unit;
    if (this.#context.options.versions === false || variables.length > MOST_VARIABLES) return false;
    return this.#size <= LARGEST && this.#loops.points.length <= MOST_LOOPS;
  }

  /**
   * Whether the version that is entered first goes on in another one from its first may_goto on, which has the same code there:
   * where that is long, and little has to be handed over.
   */
  #endsAtMayGotos(): boolean {
    // Runs of rounds are for loops that have gone on for a while: page-runs.ts.
    if (this.#size < LONG || this.#loops.runs.size > 0) return false;
    const points = this.#loops.points;
    const handed = points.map(({ frame, at }) => this.#liveness.before(frame, at).length);
    return points.length > 0 && Math.max(...handed) <= FEW_VARIABLES;
  }

  /** Exits of a fast version, with the code that is emitted for each at its end. */
  #fastExits(): Exits & { readonly blocks: ((e: Emitter) => void)[] } {
    const blocks: ((e: Emitter) => void)[] = [];
    // An instruction either fails a check or uses up iterations.
    const numbers = new Map<number, number>();
    const block = (frame: number, at: number, write: (e: Emitter) => void): number => {
      const number = blocks.push(write) - 1;
      numbers.set(this.#loops.key({ frame, at }), number);
      return number;
    };
    return {
      isFast: true,
      blocks,
      failedCheck: (frame, at, looks) =>
        numbers.get(this.#loops.key({ frame, at })) ??
        block(frame, at, (e) => this.#leaveForCareful(e, { frame, at }, looks)),
      exhausted: (frame, at) =>
        numbers.get(this.#loops.key({ frame, at })) ??
        block(frame, at, (e) => this.#leaveForBehind(e, { frame, at })),
      // The may_goto is gone through again, and takes its iteration once more.
      failedRun: (frame, at) => blocks.push((e) => this.#leaveForCareful(e, { frame, at }, false, 1)) - 1,
      goOnBehind: undefined,
    };
  }

  #leaveForCareful(e: Emitter, point: Point, looks: boolean, givenBack = 0): void {
    const key = this.#loops.key(point);
    let number = this.#pointNumbers.get(key);
    if (number === undefined) {
      number = this.#points.push(point) - 1;
      this.#pointNumbers.set(key, number);
    }
    this.#careful ??= this.#context.module.reserve();
    e.code.i32(number);
    if (looks) {
      e.code.get(e.pageState);
      e.code.i32(16);
      e.code.op(OP.i32_shr_u);
      e.code.op(OP.i32_add);
    }
    const { loop } = e.frames[point.frame];
    if (loop === undefined) e.code.i32(0);
    else pushIterations(e, loop);
    // Both in ascending order.
    const live = this.#liveness.before(point.frame, point.at);
    let next = 0;
    for (const variable of this.#liveness.anywhere()) {
      if (live[next] === variable) {
        next++;
        this.#handOver(e, variable);
        if (givenBack === 0 || e.locals[variable] !== loop?.count) continue;
        e.code.i32(givenBack);
        e.code.op(OP.i32_add);
      } else e.code.zero(this.#unit.variables[variable]);
    }
    if (e.framePointer !== undefined) e.code.get(e.framePointer);
    e.code.returnCall(this.#careful);
  }

  #leaveForBehind(e: Emitter, point: Point): void {
    const index = this.#versionBehind(point);
    for (const variable of this.#liveness.before(point.frame, point.at)) this.#handOver(e, variable);
    if (e.framePointer !== undefined) e.code.get(e.framePointer);
    e.code.returnCall(index);
  }

  #handOver(e: Emitter, variable: number): void {
    const local = e.locals[variable];
    const loop = e.frames.find((frame) => frame.loop?.count === local)?.loop;
    if (loop === undefined) e.code.get(local);
    else pushIterations(e, loop);
  }

  #versionBehind(point: Point): number {
    const key = this.#loops.key(point);
    const known = this.#behind.get(key);
    if (known !== undefined) return known.index;
    const index = this.#context.module.reserve();
    this.#behind.set(key, { point, index });
    this.#pending.push(key);
    return index;
  }

  #emitMain(nodes: Graph, exits: Exits & { readonly blocks: readonly ((e: Emitter) => void)[] }): void {
    const registers = argumentRegisters(this.#plan);
    const { registers: variables } = this.#unit.frames[0];
    this.#emit(
      this.#index,
      this.#plan.name,
      registers.map((register) => variables[register]),
      0,
      exits,
      (e) => {
        emitLoopStart(e);
        emitGraph(e, nodes);
      },
    );
  }

  #emitBehind(key: number): void {
    const { point, index } = this.#behind.get(key) as { point: Point; index: number };
    const name = `${this.#plan.name}.behind${point.at}`;
    const live = this.#liveness.before(point.frame, point.at);
    this.#emit(index, name, live, 0, this.#fastExits(), (e) =>
      emitGraph(
        e,
        enteredBehind(
          this.#unit.nodes,
          point,
          this.#context.target.loopIterations > 0 && this.#loops.restarts(point),
          this.#loops.runs.get(key)?.run,
        ),
      ),
    );
  }

  #emitCareful(index: number): void {
    const exits: Exits & { readonly blocks: [] } = {
      ...ALONE,
      goOnBehind: (frame, at) => {
        const e = this.#emitting;
        const loop = e?.frames[frame].loop;
        if (e === undefined || loop === undefined) return;
        e.code.get(loop.count);
        e.code.globalSet(RETURNED_AT);
        this.#leaveForBehind(e, { frame, at });
      },
    };
    const name = `${this.#plan.name}.careful`;
    this.#emit(index, name, this.#liveness.anywhere(), 2, exits, (e) => {
      e.choice = 0;
      emitCredit(e, 1);
      emitGraph(e, enteredAt(this.#unit.nodes, this.#points));
    });
  }

  #emitting: Emitter | undefined;

  /**
   * Emits one function.
   * @param parameters variables that it is given. @param numbers i32 parameters before those.
   */
  #emit(
    index: number,
    name: string,
    parameters: readonly number[],
    numbers: number,
    exits: Exits & { readonly blocks: readonly ((e: Emitter) => void)[] },
    body: (e: Emitter) => void,
  ): void {
    const { variables } = this.#unit;
    const { needsFrame } = this.#plan;
    const params: ValueType[] = [
      ...new Array<ValueType>(numbers).fill(TYPE.i32),
      ...parameters.map((variable) => variables[variable]),
      ...(needsFrame ? [TYPE.i32] : []),
    ];
    const code = new Code(params.length, 1024 + BYTES_AN_INSN * this.#size);
    const given = new Map(parameters.map((variable, i) => [variable, numbers + i]));
    const locals = variables.map((type, variable) => given.get(variable) ?? code.local(type));
    const emitter = new Emitter({
      ...this.#context,
      code,
      unit: this.#unit,
      locals,
      exits,
      metered: new Set(exits.isFast ? [...this.#loops.runs.values()].map(({ frame }) => frame) : []),
      framePointer: needsFrame ? params.length - 1 : undefined,
    });
    this.#emitting = emitter;
    emitter.prologue();
    body(emitter);
    code.enclose(exits.blocks.map((write) => () => write(emitter)));
    this.#context.module.define(index, name, { params, results: [TYPE.i64] }, code, this.#names(emitter));
  }

  #names(e: Emitter): string[] {
    const names = Array.from({ length: e.code.localCount }, (_, local) => `t${local}`);
    for (const { registers, index } of e.frames)
      registers.forEach((local, register) => {
        if (register > 0 || index === 0)
          names[local] = index === 0 ? `r${register}` : `r${register}.${index}`;
      });
    if (e.framePointer !== undefined) names[e.framePointer] = 'fp';
    return names;
  }
}

/** A version that nothing leads away from. */
const ALONE: Exits & { readonly blocks: [] } = {
  isFast: false,
  blocks: [],
  failedCheck: () => undefined,
  exhausted: () => undefined,
  failedRun: () => {
    throw new TypeError('a version that nothing leads away from has no runs');
  },
  goOnBehind: undefined,
};
