/** Where verdicts differ from Linux's, and are meant to: each with its reason. Empty is best. */
export interface KnownDifference {
  /** Found in the refusal. */
  readonly message?: RegExp;
  /** Found in the program. */
  readonly text?: RegExp;
  readonly reason: string;
}

const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    message: /^verifier bug: backtracking (?:call|exit) unexpected regs/,
    reason:
      'Linux 6.18 ties a scratched argument to the register it looks for, and then cannot go back over the call or its return: a bug of its own, which it reports as such (EFAULT)',
  },
  {
    text: /= \*\(s(?:8|16|32) \*\)\(r10/,
    reason:
      'a fill that extends the sign of a narrow spill stays tied to the spilled register in Linux, though they are not equal: what a branch tells of one is told to the other, wrongly. Here it is untied',
  },
];

/** Why verdicts on a program may differ, or undefined. @param refusal of the one that refuses. */
export function knownDifference(text: string, refusal: string): string | undefined {
  return KNOWN_DIFFERENCES.find(
    (each) => (each.message?.test(refusal) ?? true) && (each.text?.test(text) ?? true),
  )?.reason;
}
