import * as api from '../../src/browser.ts';
import { exercise, openAndClose, severalCpus } from './exercise.ts';

/**
 * What runs in the browser: a module worker, or imported by a page, it does what it is asked with the browser entry,
 * without a bundler between.
 */

export type Request =
  | { readonly exercise: 'jit' | 'interpreter' }
  | { readonly openAndClose: number }
  | { readonly cpus: number };

async function read(name: string): Promise<Uint8Array> {
  const response = await fetch(`/programs/${name}`);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Does what is asked. */
export async function ask(request: Request): Promise<unknown> {
  if ('cpus' in request) return severalCpus(api, request.cpus);
  return 'exercise' in request
    ? exercise(api, read, request.exercise)
    : openAndClose(api, request.openAndClose);
}

if (typeof document === 'undefined') {
  addEventListener('message', async ({ data }) => {
    try {
      postMessage({ crossOriginIsolated, result: await ask(data) });
    } catch (error) {
      postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
