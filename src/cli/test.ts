import { Command } from 'commander';
import { type Annotations, annotationsOf, BpfError, missingMessage, VerifierError } from '../index.ts';
import { openObject } from './input.ts';
import { type KernelName, kernelOption, openKernel } from './kernel.ts';
import { CliError, print, printJson, styled } from './output.ts';

/** How a program did. */
interface TestResult {
  object: string;
  program: string;
  expected: 'success' | 'failure';
  verdict: 'accepted' | 'rejected' | 'unsupported';
  retval?: number;
  ok: boolean;
  reason?: string;
}

/** Architectures by the name that test tags give them. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'X86_64',
  arm64: 'ARM64',
  riscv64: 'RISCV64',
  s390x: 's390x',
};
/** The packet that programs with a packet are run on (test_loader.c: TEST_DATA_LEN). */
const PACKET = new Uint8Array(64);
const LOG_LEVEL = 1;

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
        for (const name of await testsOf(path)) {
          const result = await runTest(path, name, kernel);
          results.push(result);
          if (!json) printResult(result);
        }
      }
      if (json) printJson(results);
      else printTotals(results);
      if (results.some(({ ok, verdict }) => !ok && verdict !== 'unsupported')) process.exitCode = 1;
    });
}

/** The programs that are tests of their own. */
async function testsOf(path: string): Promise<string[]> {
  const object = await openObject(path);
  return Object.keys(object.programs).filter(
    (name) => !(object.btf && annotate(object.btf, name)?.auxiliary),
  );
}

function annotate(
  btf: NonNullable<Parameters<typeof annotationsOf>[0]>,
  name: string,
): Annotations | undefined {
  try {
    return annotationsOf(btf, name);
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), 2, { cause: error });
  }
}

async function runTest(path: string, name: string, kernelName: KernelName): Promise<TestResult> {
  const object = await openObject(path);
  const found = object.btf && annotate(object.btf, name);
  const expected = found?.expected ?? 'success';
  const base = { object: path, program: name, expected };
  const unsupported = (reason: string): TestResult => ({
    ...base,
    verdict: 'unsupported',
    ok: false,
    reason,
  });
  const elsewhere =
    found &&
    found.architectures.length > 0 &&
    !found.architectures.includes(ARCHITECTURES[process.arch] ?? '');
  if (elsewhere) return unsupported(`it is for ${found.architectures.join(', ')}`);
  if (found && found.expected === undefined && found.notCovered.length > 0) {
    return unsupported(`not covered: ${found.notCovered.join(', ')}`);
  }
  for (const spec of Object.values(object.programs)) {
    const auxiliary = object.btf !== undefined && (annotate(object.btf, spec.name)?.auxiliary ?? false);
    spec.autoload = spec.name === name || auxiliary;
  }
  object.programs[name].flags = found?.flags ?? 0;
  using kernel = await openKernel({
    kernel: kernelName,
    logLevel: found?.logLevel || LOG_LEVEL,
    faults: 'report',
  });
  try {
    using loaded = await object.load(kernel);
    const program = loaded.programs[name];
    const verdict = 'accepted';
    if (expected === 'failure') return { ...base, verdict, ok: false, reason: 'it was accepted' };
    const missing = missingMessage(program.log, found?.messages ?? []);
    if (missing !== undefined) return { ...base, verdict, ok: false, reason: missing };
    if (found !== undefined && found.retval === undefined) return { ...base, verdict, ok: true };
    const packet = program.type === 'syscall' ? undefined : PACKET;
    return { ...base, verdict, ...runResult(() => program.run({ data: packet }), found?.retval) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (error.code === 'EOPNOTSUPP' && !(error instanceof VerifierError)) return unsupported(error.message);
    if (expected === 'success') return { ...base, verdict: 'rejected', ok: false, reason: error.message };
    const log = error instanceof VerifierError ? error.log : error.message;
    const reason = missingMessage(log, found?.messages ?? []);
    return { ...base, verdict: 'rejected', ok: reason === undefined, ...(reason && { reason }) };
  }
}

/** Runs an accepted program; one without annotations only has to come to its end, if it can be run at all. */
function runResult(
  run: () => { retval: number; faults: { function: string }[] },
  wanted: number | undefined,
): Pick<TestResult, 'retval' | 'ok' | 'reason'> {
  try {
    const { retval, faults } = run();
    if (wanted !== undefined && (retval | 0) !== wanted) {
      return { retval, ok: false, reason: `it returned ${retval | 0}, not ${wanted}` };
    }
    const reason =
      faults.length > 0 ? `${faults.length} places touch arena pages that are not present` : undefined;
    return { retval, ok: true, ...(reason && { reason }) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const notRunnable = wanted === undefined && (error.code === 'ENOTSUPP' || error.code === 'EINVAL');
    if (error.code === 'EOPNOTSUPP')
      return { ok: true, reason: 'its verdict is right; this kernel cannot run it' };
    return notRunnable
      ? { ok: true, reason: 'it cannot be run alone' }
      : { ok: false, reason: error.message };
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
