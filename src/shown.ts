/**
 * What console.log shows of the large things: kernels, programs, maps. Node asks an object for it by a symbol, and would else walk
 * through all that hangs on it: gigabytes of memory, tables, every other program. Each class says which few facts it is known by.
 */

/** By which Node's util.inspect asks. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom');

type Inspect = (value: unknown, options: object) => string;

/** Has console.log show an object of the class as its name and some facts. What cannot be asked, of a closed one say, is said. */
export function showAs<Shown extends object>(
  shown: { readonly name: string; readonly prototype: Shown },
  facts: (it: Shown) => object,
): void {
  Object.defineProperty(shown.prototype, INSPECT, {
    value(this: Shown, _depth: number, options: object, inspect: Inspect): string {
      const { name } = this.constructor;
      try {
        return `${name} ${inspect(facts(this), options)}`;
      } catch (error) {
        return `${name} [${error instanceof Error ? error.message : String(error)}]`;
      }
    },
  });
}

/** Lines of a log that an error shows. */
const LOG_LINES = 12;

/** A refusal: the stack, what it means, and the end of the log. */
export function refusalText(stack: string, explanation: readonly string[], log: string): string {
  const lines = log.trimEnd().split('\n');
  const end = lines.slice(-LOG_LINES);
  const part = end.length < lines.length ? `, the last ${end.length} of ${lines.length} lines` : '';
  const text = explanation.map((line) => `  ${line}`);
  return [stack, ...text, `  log${part}:`, ...end.map((line) => `    ${line}`)].join('\n');
}
