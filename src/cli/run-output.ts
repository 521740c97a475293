import {
  errnoName,
  type FaultReport,
  type LoadedObject,
  type ProgramType,
  type RunResult,
} from '../index.ts';
import { columns, duration, print, styled } from './output.ts';
import type { PacketSummary } from './packets.ts';
import { verdictName } from './verdict-names.ts';

/** What `bpf-arena run` says of a run, to people and as JSON: the result, accesses to absent pages, global variables, pages. */

export function asJson(program: string, result: RunResult, globals: object): object {
  const { retval, durationNs, dataOut, ctxOut, faults } = result;
  return {
    program,
    retval,
    durationNs,
    ...(dataOut && { dataOut: hexOf(dataOut) }),
    ...(ctxOut && { ctxOut: hexOf(ctxOut) }),
    globals,
    faults,
  };
}

export function printSummary({ program, packets, verdicts, refused, durationNs }: PacketSummary): void {
  print(`${styled('bold', program)}: ${packets} packets, ${duration(durationNs)} each`);
  const rows = Object.entries(verdicts).map(([verdict, count]) => [verdict, String(count)]);
  for (const [code, count] of Object.entries(refused)) rows.push([`refused (${code})`, String(count)]);
  if (rows.length > 0) print(columns(rows, '  '));
}

const hexOf = (bytes: Uint8Array) => `hex:${Buffer.from(bytes).toString('hex')}`;

/** Elements of an array that are printed; what a person or a script reads has seldom more. */
const MAX_ELEMENTS = 65_536;

/** All global variables as plain data; one that cannot be read says why. */
export function plainGlobals(loaded: LoadedObject): Record<string, unknown> {
  return loaded.readGlobals({ maxElements: MAX_ELEMENTS });
}

export function printResult(program: string, type: ProgramType, result: RunResult): void {
  const signed = result.retval | 0;
  const error = signed < 0 && signed > -4096 ? `${signed}, ${errnoName(signed)}` : undefined;
  const means = verdictName(type, result.retval) ?? error;
  const meaning = means === undefined ? '' : ` (${means})`;
  const verdict = styled(signed === 0 ? 'green' : 'yellow', `retval ${result.retval}${meaning}`);
  print(`${styled('bold', program)}: ${verdict} in ${duration(result.durationNs)}`);
  if (result.dataOut) print(`data     ${hexOf(result.dataOut)}`);
  if (result.ctxOut) print(`ctx      ${hexOf(result.ctxOut)}`);
  for (const fault of result.faults) print(styled('red', describeFault(fault)));
}

/** What runs left behind. */
export function printState(globals: Record<string, unknown>, loaded: LoadedObject): void {
  // The formats of bpf_printk() are variables, too.
  const rows = Object.entries(globals).flatMap(([name, value]) =>
    name.endsWith('__fmt') ? [] : [[name, short(value)]],
  );
  if (rows.length > 0) print(`${styled('dim', 'globals')}\n${columns(rows, '  ')}`);
  const pages = loaded.arena?.statistics;
  if (pages?.present !== undefined) {
    const { present, reserved, peak } = pages;
    const label = styled('dim', 'arena');
    print(`${label}    ${present} of ${pages.pages} pages present, ${reserved} reserved, ${peak} at most`);
  }
}

function short(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? '';
  return text.length > 100 ? `${text.slice(0, 97)}…` : text.replace(/^"(.*)"$/, '$1');
}

/** An address below is that of a member of what NULL points to; no arena starts at 0 unless its object wants it to. */
const NEAR_NULL = 4096;

export function describeFault({
  program,
  insn,
  function: name,
  source,
  address,
  size,
  access,
  page,
  count,
}: FaultReport): string {
  const where = source
    ? `${source.file}:${source.line}: ${source.text}`
    : `${program}, instruction ${insn} in ${name}`;
  const times = count > 1 ? `, ${count} times` : '';
  const place = `0x${address.toString(16)}${address >= 0 && address < NEAR_NULL ? ' (a NULL pointer?)' : ''}`;
  return `fault    ${access} of ${size} bytes at ${place}, page is ${page}${times}: ${where}`;
}
