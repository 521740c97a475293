import { ANALYSES } from './jit/analyses.ts';
import { ARENA } from './jit/arena.ts';
import { CONTROL_FLOW } from './jit/control-flow.ts';
import { EMISSION } from './jit/emission.ts';
import { ENCODING } from './jit/encoding.ts';
import type { Area } from './table.ts';

/** Deliberate bugs in src/jit; see table.ts. */
export const JIT_AREAS: readonly Area[] = [
  { area: 'JIT: control flow', topics: [], mutants: CONTROL_FLOW },
  { area: 'JIT: analyses', topics: [], mutants: ANALYSES },
  { area: 'JIT: arena accesses', topics: [], mutants: ARENA },
  { area: 'JIT: emission', topics: [], mutants: EMISSION },
  { area: 'JIT: encoding', topics: [], mutants: ENCODING },
];
