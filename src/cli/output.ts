import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { BpfError, VerifierError } from '../index.ts';

/** What the commands print with: colours on terminals only, JSON with whole 64-bit integers, errors as one line. */

/** An error with the exit status it asks for: 2 is wrong usage or unreadable input. */
export class CliError extends Error {
  readonly status: 1 | 2;

  constructor(message: string, status: 1 | 2 = 2, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

type Style = Parameters<typeof styleText>[0];

/** Text with a style, plain where stdout is no terminal or NO_COLOR is set. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** One JSON value on stdout, indented for people. A bigint is written as a JSON integer with all its digits. */
export function printJson(value: unknown): void {
  const indent = process.stdout.isTTY ? 2 : undefined;
  const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  print(
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? rawJson(String(part)) : part), indent),
  );
}

/** An error as one readable line on stderr, a rejection with what it means below; with its stack when asked. */
export function reportError(error: unknown, debug: boolean): void {
  if (debug) console.error(error);
  else {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof BpfError ? ` [${error.code}]` : '';
    console.error(`bpf-arena: ${message.replaceAll('\n', ' ')}${code}`);
    if (error instanceof VerifierError) for (const line of error.explanation) console.error(`    ${line}`);
  }
}

/** Left-aligned columns, two spaces apart. */
export function columns(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map(
      (row) =>
        indent +
        row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join('  ')
          .trimEnd(),
    )
    .join('\n');
}

/** `1.23 ms`: a duration given in nanoseconds. */
export function duration(ns: number): string {
  const [unit, size] = ns < 1e3 ? ['ns', 1] : ns < 1e6 ? ['µs', 1e3] : ns < 1e9 ? ['ms', 1e6] : ['s', 1e9];
  return `${(ns / Number(size)).toPrecision(3)} ${unit}`;
}

export function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
