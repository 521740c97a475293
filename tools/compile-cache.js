// Imported in front of the tests: each file of them is a process of its own, and so is each command line that they run. What V8 and the
// stripping of types made of a source is kept between them, in the folder for temporary files.
import { enableCompileCache } from 'node:module';

enableCompileCache();
