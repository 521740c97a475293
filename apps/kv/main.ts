/** arena-kv, the command line: starts a server and runs until a signal says stop. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { VERSION } from './protocol/lines.ts';
import { Server } from './server.ts';
import { Store } from './store.ts';

interface Flags {
  port: number;
  udpPort: number;
  socket?: string;
  listen?: string;
  memory: number;
  kernel: 'embedded' | 'linux';
  cpus: number;
  maxConnections: number;
  verbose?: boolean;
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
  .option('--cpus <number>', 'CPUs of the embedded kernel', whole(1, 16), 1)
  .option('-c, --max-connections <number>', 'clients at once', whole(1, 1_000_000), 1024)
  .option('-v, --verbose', 'say what happens')
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'arena-kv: ')) });

async function serve(flags: Flags): Promise<void> {
  const store = await Store.open(flags);
  const server = new Server(store, { ...flags, verbosity: flags.verbose ? 1 : 0, log });
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    store.close();
    throw error;
  }
  const where = flags.socket ?? `port ${server.port}`;
  log(
    `${flags.memory} MiB on the ${flags.kernel} kernel, ${where}${server.udpPort ? `, UDP ${server.udpPort}` : ''}`,
  );
  const stop = async () => {
    await server.stop();
    store.close();
    process.exit(0);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

try {
  program.parse();
  await serve(program.opts<Flags>());
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    log(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
