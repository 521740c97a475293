// What both command lines do before anything else: find a Node that is new enough (the one that runs this, or the one that
// the repository's dev dependencies bring), and in a clone take the sources, else the build. Plain JavaScript that any Node runs.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Several WebAssembly memories in one module, and `using`-free ES2024. */
const NEEDED = [22, 12];
/** Runs TypeScript as it stands. */
const STRIPS_TYPES = [24, 0];

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const running = process.versions.node.split('.').map(Number);
const atLeast = ([major, minor]) => running[0] > major || (running[0] === major && running[1] >= minor);

/**
 * Runs a command line.
 * @param name how it is called. @param source its main file, and @param build what becomes of it, from the package's root.
 */
export async function enter(name, source, build) {
  const sources = here(`../${source}`);
  const built = here(`../${build}`);
  const inClone = existsSync(sources);
  if (atLeast(inClone ? STRIPS_TYPES : NEEDED)) {
    // The next start finds compiled what this one compiles: that is most of its time.
    nodeModule.enableCompileCache();
    await import(pathToFileURL(inClone ? sources : built).href);
    return;
  }
  const node = here(
    process.platform === 'win32' ? '../node_modules/.bin/node.cmd' : '../node_modules/.bin/node',
  );
  if (existsSync(node)) runWith(node);
  else if (atLeast(NEEDED) && existsSync(built)) await import(pathToFileURL(built).href);
  else {
    const advice = inClone ? 'run npm ci, which brings one' : 'install a newer Node';
    console.error(
      `${name}: Node ${NEEDED.join('.')} or newer is needed, this is ${process.versions.node}; ${advice}`,
    );
    process.exitCode = 2;
  }
}

function runWith(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit', shell: process.platform === 'win32' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
