import { ENGINES } from './engines.ts';
import { declareSuite } from './suite.ts';

/** The instruction suite on the JIT of the embedded kernel. */

declareSuite(ENGINES.jit, 'on the JIT');
