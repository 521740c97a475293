/**
 * A verifier's log without what may differ between the kernels: docs/verifier.md lists the same, in words.
 *
 * @returns its lines.
 */
export function comparableLog(log: string): string[] {
  const lines: string[] = [];
  for (const line of log.split('\n')) {
    if (LEFT_OUT.test(line)) continue;
    const text = CHANGED.reduce((each, [pattern, by]) => each.replace(pattern, by), line).trimEnd();
    const [, state] = /^\d+: ((?:frame\d+: )?(?:R\d+|fp-\d+)(?:_\w+)?=.*)$/.exec(text) ?? [];
    const last = lines.at(-1);
    // Lines about precision come between an instruction and what it changed.
    if (state !== undefined && last !== undefined && /^\d+: \(((?! ; ).)*$/.test(last))
      lines[lines.length - 1] = `${last} ; ${state}`;
    else if (text !== '') lines.push(text);
  }
  return lines;
}

/**
 * Which stack slots are live, loops that are entered and left, and what verification took
 * are not told here; nor what Linux finds in prototypes that it does not hold against the program.
 */
const LEFT_OUT =
  /^(verification time |SCC |\(\d*(?:,\d+)*\) (?:frame|live)|arg#\d (?:reference type\('UNKNOWN '\) size|type tag is not supported in static)|R\d is not a scalar$)/;

const CHANGED: readonly (readonly [RegExp, string])[] = [
  // Linux prints where its map is in memory, and type ids of its own BTF.
  [/(\(18\) r\d = )0x[0-9a-f]+/, '$1…'],
  [/(\(85\) call \w+#)\d+/, '$1…'],
  [/ has btf_id \d+ /, ' has btf_id … '],
  // Numbers of loops: here a helper that calls back is one, too.
  [/^ *\d* +(\d+: [.\d]{10} )/, '$1'],
  // Addresses have other lengths, so the columns behind them differ.
  [/ +;(?: |$)/, ' ; '],
  [/ ; $/, ''],
  // How many states are kept is a matter of cost, not of the verdict.
  [/ max_states_per_insn .*/, ''],
];
