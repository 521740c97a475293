import { BpfError } from '../../errors.ts';
import { checkIterator } from '../../iteration.ts';
import type { IterateOptions } from '../../kernel.ts';
import { isIteratorTarget } from '../../verifier/iterators.ts';
import type { EmbeddedKernel } from '../kernel.ts';
import { EmbeddedMap } from '../maps/map.ts';
import type { EmbeddedProgram } from '../program.ts';
import { EmbeddedIteration } from './iteration.ts';
import { RUNNABLE_ITERATORS } from './walks.ts';

/** The iterations that are open in a kernel, as links: to whoever iterates over these, too. */
export class Iterations {
  readonly #kernel: EmbeddedKernel;
  readonly #open = new Map<number, EmbeddedIteration>();
  #next = 1;
  #session = 0;

  constructor(kernel: EmbeddedKernel) {
    this.#kernel = kernel;
  }

  /** Throws as `LoadedProgram.iterate`. */
  begin(program: EmbeddedProgram, options: IterateOptions): EmbeddedIteration {
    checkIterator(program, options);
    const { name, attachTo = '', sleepable } = program;
    if (!isIteratorTarget(attachTo) || !RUNNABLE_ITERATORS.includes(attachTo)) {
      const problem = `iterators over ${attachTo} are verified here, but not run`;
      throw new BpfError('EOPNOTSUPP', `program '${name}': ${problem}; --kernel linux runs them`);
    }
    if (sleepable)
      throw new BpfError('EINVAL', `program '${name}': what iterates over ${attachTo} cannot sleep`);
    const map = options.map && this.#mapOf(program, options.map);
    const numbers = { id: this.#next, session: this.#session + 1 };
    const iteration = new EmbeddedIteration(this.#kernel, program, map, numbers, (each) =>
      this.#open.delete(each.id),
    );
    this.#next++;
    this.#session++;
    this.#open.set(iteration.id, iteration);
    return iteration;
  }

  /** The open one with the least number from `id` on. */
  from(id: number): EmbeddedIteration | undefined {
    for (const [number, iteration] of this.#open) if (number >= id) return iteration;
    return undefined;
  }

  /** A program is closed, or, without one, all are. */
  close(program?: EmbeddedProgram): void {
    for (const iteration of [...this.#open.values()])
      if (program === undefined || iteration.program === program) iteration.close();
  }

  #mapOf({ name }: EmbeddedProgram, map: IterateOptions['map']): EmbeddedMap {
    if (!(map instanceof EmbeddedMap) || (!map.closed && this.#kernel.mapById(map.id) !== map))
      throw new BpfError('EINVAL', `program '${name}': what it shall iterate over is no map of its kernel`);
    if (map.closed) throw new BpfError('EBADF', `map '${map.name}' is closed`);
    return map;
  }
}
