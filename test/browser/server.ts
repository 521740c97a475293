import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * A web site for browser tests: the browser's half of the sources, compiled as npm gets them, with what the tests do in
 * there, and the programs. It is compiled for the occasion, so it is never stale. Its pages are cross-origin isolated,
 * which browsers want of whoever shares memory between threads.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };

const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
} as const;

export interface Site extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
}

/** Compiles and serves. Throws with what the compiler says when it does not compile. */
export async function serve(): Promise<Site> {
  const compiled = await mkdtemp(join(tmpdir(), 'bpf-arena-site-'));
  const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc');
  const project = fileURLToPath(new URL('tsconfig.json', import.meta.url));
  await promisify(execFile)(process.execPath, [tsc, '-p', project, '--outDir', compiled]);
  const server = createServer(async ({ url = '/' }, response) => {
    const path = normalize(new URL(url, 'http://site').pathname);
    try {
      const body = await readFile(join(path.endsWith('.js') ? compiled : ROOT, path));
      const type = TYPES[extname(path)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, ...HEADERS }).end(body);
    } catch {
      response.writeHead(404, HEADERS).end();
    }
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await rm(compiled, { recursive: true });
    },
  };
}
