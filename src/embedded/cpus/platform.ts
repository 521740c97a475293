import { BpfError } from '../../errors.ts';

/** Threads for worker CPUs: Web Workers here; Node installs its own (node.ts). */

/** A thread that runs a CPU's script. */
export interface Thread {
  post(message: unknown): void;
  /**
   * Stops it, whatever it does. @returns whether it is certain that nothing of it runs any more: browsers do not tell.
   */
  stop(): Promise<boolean>;
  /** Whether the process shall stay alive for it. */
  keepAlive(wanted: boolean): void;
}

export interface ThreadEvents {
  message(message: unknown): void;
  /** It failed, without having been asked to stop. @param certain whether nothing of it runs any more. */
  died(reason: string, certain: boolean): void;
}

/** @param script where a worker's script is; Node needs none. */
export type StartThread = (name: string, events: ThreadEvents, script?: string | URL) => Thread;

let start: StartThread = startWebWorker;

/** Installs the platform's way to start threads. */
export function useThreads(startThread: StartThread): void {
  start = startThread;
}

/** Starts a thread. Throws EOPNOTSUPP where there are none. */
export function startThread(name: string, events: ThreadEvents, script?: string | URL): Thread {
  return start(name, events, script);
}

function startWebWorker(name: string, events: ThreadEvents, script?: string | URL): Thread {
  if (typeof Worker === 'undefined')
    throw new BpfError('EOPNOTSUPP', 'there are no workers here, so the embedded kernel has CPU 0 only');
  if (globalThis.crossOriginIsolated === false)
    throw new BpfError(
      'EOPNOTSUPP',
      'workers share memory with a page only where it is cross-origin isolated: serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp',
    );
  const worker =
    script === undefined
      ? // Bundlers look for this very expression, and some for options without a variable.
        new Worker(new URL('./web-worker.js', import.meta.url), { type: 'module' })
      : new Worker(script, { type: 'module', name });
  worker.onmessage = ({ data }) => events.message(data);
  const fail = (reason: string) => {
    worker.terminate();
    events.died(reason, false);
  };
  worker.onmessageerror = () => fail('a message could not be read');
  worker.onerror = ({ message }) => fail(message ?? noScript(script));
  return {
    post: (message) => worker.postMessage(message),
    stop: async () => {
      worker.terminate();
      return false;
    },
    keepAlive: () => {},
  };
}

function noScript(script: string | URL | undefined): string {
  if (script !== undefined) return `its script, ${script}, could not be loaded`;
  return "its script, web-worker.js, could not be loaded: bundle 'bpf-arena/worker' and give its address, embedded({ worker: url })";
}
