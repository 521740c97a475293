import { Worker } from 'node:worker_threads';
import type { Thread, ThreadEvents } from './platform.ts';

/** Threads of Node for worker CPUs. The script runs from the sources (type stripping) and from dist/. */

const SCRIPT = new URL(
  import.meta.url.endsWith('.ts') ? './node-worker.ts' : './node-worker.js',
  import.meta.url,
);

/** Starts one. It does not keep the process alive unless it is asked to. */
export function startNodeThread(name: string, events: ThreadEvents): Thread {
  // What the process was started with may be no way to start a script (`--input-type`, `--eval`).
  const worker = new Worker(SCRIPT, { name, execArgv: [] });
  let reason: string | undefined;
  let stopped = false;
  worker.on('message', events.message);
  worker.on('messageerror', ({ message }) => {
    reason = message;
    void worker.terminate();
  });
  worker.on('error', (error: Error) => {
    reason = error.message;
  });
  worker.on('exit', (code) => {
    if (!stopped) events.died(reason ?? `its thread ended with status ${code}`, true);
  });
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    stop: async () => {
      stopped = true;
      await worker.terminate();
      return true;
    },
    keepAlive: (wanted) => (wanted ? worker.ref() : worker.unref()),
  };
}
