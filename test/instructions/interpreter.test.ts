import { ENGINES } from './engines.ts';
import { declareSuite } from './suite.ts';

/** The instruction suite on the interpreter of the embedded kernel, watched and not. */

declareSuite(ENGINES.interpreter, 'on the interpreter');
declareSuite(ENGINES.checked, 'in the checked mode');
