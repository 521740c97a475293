/** What `stats` answers: memcached's names for what the store and the server count. */
import { VERSION } from './protocol/lines.ts';
import type { Server } from './server.ts';

/** @param what the subcommand. @returns lines with their END, or undefined for a subcommand that is none. */
export function renderStatistics(server: Server, what: string): string | undefined {
  const rows = TABLES[what]?.(server);
  if (rows === undefined) return undefined;
  return `${rows.map(([name, value]) => `STAT ${name} ${value}\r\n`).join('')}END\r\n`;
}

type Row = readonly [name: string, value: string | number | bigint];

const TABLES: Readonly<Record<string, (server: Server) => Row[]>> = {
  '': general,
};

function general(server: Server): Row[] {
  return [
    ['pid', process.pid],
    ['version', VERSION],
    ['time', server.engine.now],
  ];
}
