/** The JIT's room: verified programs become WebAssembly modules. */

export { SERVICES, type Translation, translate } from './compile.ts';
export { FunctionTooLarge, type Positions } from './encode/module.ts';
export type {
  ArgumentForm,
  CallOut,
  ImportedCall,
  JitOptions,
  ResultForm,
  RoutineCall,
  Target,
} from './target.ts';
export { PER_CPU } from './target.ts';
