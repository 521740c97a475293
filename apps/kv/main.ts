/** arena-kv, the command line: starts a server and runs until a signal says stop. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { VERSION } from './protocol/lines.ts';
import { Server } from './server.ts';
import { readSnapshot } from './snapshot.ts';
import { Store } from './store.ts';
import { top } from './top.ts';

interface Flags {
  port: number;
  udpPort: number;
  socket?: string;
  listen?: string;
  memory: number;
  kernel: 'embedded' | 'linux';
  cpus: number;
  xdp?: string;
  maxConnections: number;
  verbose?: boolean;
  snapshot?: string;
  snapshotEvery?: number;
}

/** A whole number between bounds. */
const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`a whole number from ${least} to ${most} is needed.`);
    }
    return value;
  };

const log = (line: string) => process.stderr.write(`arena-kv: ${line}\n`);

const program = new Command('arena-kv')
  .description("A cache that speaks memcached's protocol; its store is a BPF arena")
  .version(VERSION)
  .option('-p, --port <port>', 'TCP port; 0 for none', whole(0, 65_535), 11_211)
  .option('-U, --udp-port <port>', 'UDP port; 0 for none', whole(0, 65_535), 0)
  .option('-s, --socket <path>', 'unix socket, instead of a TCP port')
  .option('-l, --listen <address>', 'address to listen at (default: all)')
  .option('-m, --memory <MiB>', 'memory for everything that is stored', whole(8, 2048), 64)
  .addOption(
    new Option('--kernel <kernel>', 'where the programs run')
      .choices(['embedded', 'linux'])
      .default('embedded'),
  )
  .option(
    '--cpus <number>',
    'CPUs of the embedded kernel: with two, one looks for what has expired',
    whole(1, 16),
    1,
  )
  .option('--xdp <interface>', 'have XDP answer UDP requests; on the embedded kernel at the socket')
  .option('-c, --max-connections <number>', 'clients at once', whole(1, 1_000_000), 1024)
  .option('--snapshot <file>', 'keep what is stored there over a restart')
  .option('--snapshot-every <seconds>', 'also write it so often, not only at the end', whole(1, 86_400))
  .option('-v, --verbose', 'say what happens')
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'arena-kv: ')) });

async function serve(flags: Flags): Promise<void> {
  const restored =
    flags.snapshot === undefined ? undefined : readSnapshot(flags.snapshot, Store.identity(flags));
  if (typeof restored === 'string')
    log(`${flags.snapshot} is not taken, and the store starts empty: ${restored}`);
  const store = await Store.open(typeof restored === 'object' ? { ...flags, restored } : flags);
  const server = new Server(store, { ...flags, verbosity: flags.verbose ? 1 : 0, log });
  try {
    await server.start();
    if (flags.xdp !== undefined) await server.accelerate(flags.xdp);
  } catch (error) {
    await server.stop();
    store.close();
    throw error;
  }
  const where = flags.socket ?? `port ${server.port}`;
  log(
    `${flags.memory} MiB on the ${flags.kernel} kernel, ${where}${server.udpPort ? `, UDP ${server.udpPort}` : ''}`,
  );
  if (typeof restored === 'object')
    log(`${store.statistics().all.items} items, as of ${new Date(restored.time * 1000).toISOString()}`);
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    try {
      await server.stop();
    } catch (error) {
      log(`no snapshot: ${(error as Error).message}`);
      process.exitCode = 1;
    }
    store.close();
    process.exit();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

program.action(() => serve(program.opts<Flags>()));
program.addCommand(top());
for (const command of program.commands) command.exitOverride().copyInheritedSettings(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    log(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
