/** Where verdicts differ from Linux's, and are meant to: each with its reason. Empty is best. */
export interface KnownDifference {
  /** Found in the refusal. */
  readonly message: RegExp;
  readonly reason: string;
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    message: /^verifier bug: backtracking call unexpected regs/,
    reason:
      'Linux 6.18 ties a scratched argument to the register it looks for, and then cannot go back over the call: a bug of its own, which it reports as such (EFAULT)',
  },
];
