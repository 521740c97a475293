import { ENGINES } from './engines.ts';
import { declareSuite } from './suite.ts';

/** The instruction suite on the JIT of the embedded kernel: as it is, without its optimisations, and reporting faults. */

declareSuite(ENGINES.jit, 'on the JIT');
declareSuite(ENGINES.unoptimised, 'without optimisations');
declareSuite(ENGINES.reporting, 'with faults reported');
