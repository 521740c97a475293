import type { ProgramType } from '../object/program-types.ts';

/** What the verifier asks of a program's type. The rows stand in program-types.ts. */
export interface ProgramRules {
  readonly type: ProgramType;
}
