import { Command } from 'commander';
import { BpfError } from '../index.ts';
import { openObject, requirePrograms } from './input.ts';
import { type KernelName, kernelOption, openKernel } from './kernel.ts';
import { CliError, print, printJson, styled } from './output.ts';
import { runTest, type TestResult, type TestSetting, testsOf } from './run-test.ts';

/** `bpf-arena test OBJ…`: the tests that the objects' own annotations describe. */
export function test(): Command {
  return new Command('test')
    .description("run the tests that objects' own comment:test_… BTF tags describe")
    .argument('<objects...>', 'BPF object files')
    .addOption(kernelOption())
    .option('--json', 'print one JSON value')
    .action(async (paths: string[], { kernel, json }: { kernel: KernelName; json?: boolean }) => {
      const results: TestResult[] = [];
      for (const path of paths) {
        for await (const result of resultsOf(path, kernel)) {
          results.push(result);
          if (!json) printResult(result);
        }
      }
      if (json) printJson(results);
      else printTotals(results);
      if (results.some(({ ok, verdict }) => !ok && verdict !== 'unsupported')) process.exitCode = 1;
    });
}

async function* resultsOf(path: string, kernel: KernelName): AsyncGenerator<TestResult> {
  const setting: TestSetting = {
    open: () => openObject(path),
    kernel: (logLevel) => openKernel({ kernel, logLevel, faults: 'report' }),
  };
  try {
    const object = await openObject(path);
    requirePrograms(object);
    for (const name of testsOf(object)) yield await runTest(setting, path, name);
  } catch (error) {
    // A tag that makes no sense; what the kernel says is in the results.
    if (!(error instanceof BpfError) || error.code !== 'EINVAL') throw error;
    throw new CliError(error.message, 2, { cause: error });
  }
}

function printResult({ object, program, verdict, retval, ok, reason }: TestResult): void {
  const sign = ok
    ? styled('green', 'ok  ')
    : verdict === 'unsupported'
      ? styled('yellow', 'skip')
      : styled('red', 'FAIL');
  const value = retval === undefined ? '' : `, retval ${retval | 0}`;
  print(`${sign} ${object} ${styled('bold', program)}: ${verdict}${value}${reason ? ` (${reason})` : ''}`);
}

function printTotals(results: readonly TestResult[]): void {
  const passed = results.filter(({ ok }) => ok).length;
  const skipped = results.filter(({ ok, verdict }) => !ok && verdict === 'unsupported').length;
  print(`${passed} passed, ${results.length - passed - skipped} failed, ${skipped} unsupported`);
}
