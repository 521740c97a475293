/** Where verdicts differ from Linux's, and are meant to: each with its reason. Empty is best. */
export interface KnownDifference {
  /** Found in the refusal. */
  readonly message: RegExp;
  readonly reason: string;
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [];
