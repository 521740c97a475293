import { onLinux } from '../contract/kernels.ts';
import { ENGINES } from './engines.ts';
import { declareSuite } from './suite.ts';

/** The instruction suite on Linux, from which its expected values were recorded. */

onLinux('the instruction suite', () => declareSuite(ENGINES.linux, 'on Linux'));
