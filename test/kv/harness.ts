import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, type ServerOptions } from '../../apps/kv/server.ts';
import type { Restored } from '../../apps/kv/snapshot.ts';
import { Store } from '../../apps/kv/store.ts';

/** Servers for tests: in this process, on a port or socket of their own. */
export interface Running {
  readonly server: Server;
  readonly port: number;
  stop(): Promise<void>;
}

export async function startServer(
  options: Partial<ServerOptions> = {},
  restored?: Restored,
): Promise<Running> {
  const settings: ServerOptions = {
    listen: '127.0.0.1',
    maxConnections: 100,
    memory: 64,
    kernel: 'embedded',
    cpus: 1,
    verbosity: 0,
    log: () => undefined,
    ...options,
  };
  const store = await Store.open({ ...settings, restored });
  const server = new Server(store, settings);
  await server.start();
  return {
    server,
    port: server.port,
    stop: async () => {
      await server.stop();
      store.close();
    },
  };
}

/** A TCP port that nobody has. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A folder that is gone when the callback is done. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'arena-kv-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
