import {
  type Annotations,
  annotationsOf,
  BpfError,
  type Kernel,
  missingMessage,
  type OpenedObject,
  type ProgramSpec,
  VerifierError,
} from '../index.ts';
import { loadOnly } from './input.ts';

/**
 * One test that an object describes by its BTF decl tags: the kernel's verdict and what its log must say, and the result of
 * a run. Verdict and run are two questions: the embedded kernel judges more than it can run.
 */

/** How a program did. */
export interface TestResult {
  object: string;
  program: string;
  expected: 'success' | 'failure';
  verdict: 'accepted' | 'rejected' | 'unsupported';
  retval?: number;
  ok: boolean;
  reason?: string;
}

/** What a test needs: an object of its own, for loading changes it, and a kernel whose log has the level that is asked for. */
export interface TestSetting {
  open(): Promise<OpenedObject>;
  kernel(logLevel: number): Promise<Kernel & Disposable>;
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

/** The programs of an object that are tests of their own. Throws EINVAL for a tag that makes no sense. */
export function testsOf({ btf, programs }: OpenedObject): string[] {
  return Object.keys(programs).filter((name) => !(btf && annotationsOf(btf, name)?.auxiliary));
}

/** @param path of the object, for the result. Rejects with EINVAL for a tag that makes no sense. */
export async function runTest(setting: TestSetting, path: string, name: string): Promise<TestResult> {
  const object = await setting.open();
  const found = object.btf && annotationsOf(object.btf, name);
  const expected = found?.expected ?? 'success';
  const base = { object: path, program: name, expected };
  const excused = found && excuse(found);
  if (excused !== undefined) return { ...base, verdict: 'unsupported', ok: false, reason: excused };
  object.programs[name].flags = found?.flags ?? 0;
  using kernel = await setting.kernel(found?.logLevel || LOG_LEVEL);
  const judged = await judge(object, name, kernel, found);
  const runs =
    judged.verdict === 'accepted' && judged.ok && (found === undefined || found.retval !== undefined);
  const result = { ...base, ...judged, ...(runs && (await run(setting, kernel, name, found))) };
  const left = found?.notCovered ?? [];
  return left.length > 0 ? { reason: `not covered: ${left.join(', ')}`, ...result } : result;
}

/** Why a test is not made here, or undefined. */
function excuse({ architectures, expected, notCovered }: Annotations): string | undefined {
  if (architectures.length > 0 && !architectures.includes(ARCHITECTURES[process.arch] ?? ''))
    return `it is for ${architectures.join(', ')}`;
  if (expected === undefined && notCovered.length > 0) return `not covered: ${notCovered.join(', ')}`;
  return undefined;
}

type Judged = Pick<TestResult, 'verdict' | 'ok' | 'reason'>;

async function judge(
  object: OpenedObject,
  name: string,
  kernel: Kernel,
  found: Annotations | undefined,
): Promise<Judged> {
  const expected = found?.expected ?? 'success';
  const messages = found?.messages ?? [];
  try {
    const { log } = await object.verify(name, kernel);
    if (expected === 'failure') return { verdict: 'accepted', ok: false, reason: 'it was accepted' };
    return withReason('accepted', missingMessage(log, messages));
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (error.code === 'EOPNOTSUPP' && !(error instanceof VerifierError))
      return { verdict: 'unsupported', ok: false, reason: error.message };
    if (expected === 'success') return { verdict: 'rejected', ok: false, reason: error.message };
    return withReason(
      'rejected',
      missingMessage(error instanceof VerifierError ? error.log : error.message, messages),
    );
  }
}

function withReason(verdict: TestResult['verdict'], problem: string | undefined): Judged {
  return problem === undefined ? { verdict, ok: true } : { verdict, ok: false, reason: problem };
}

/** What kernels answer to test runs of programs that are for something else. EFAULT: iterators. */
const NOT_RUN: readonly string[] = ['ENOTSUPP', 'EINVAL', 'EFAULT'];

/** Runs an accepted program; one without annotations only has to come to its end, if it can be run at all. */
async function run(
  { open }: TestSetting,
  kernel: Kernel,
  name: string,
  found: Annotations | undefined,
): Promise<Pick<TestResult, 'retval' | 'ok' | 'reason'>> {
  const object = await open();
  const { btf } = object;
  const wantedToo = ({ name: each }: ProgramSpec) =>
    each === name || (btf !== undefined && annotationsOf(btf, each)?.auxiliary === true);
  loadOnly(object, Object.values(object.programs).filter(wantedToo));
  object.programs[name].flags = found?.flags ?? 0;
  const wanted = found?.retval;
  try {
    using loaded = await object.load(kernel);
    const program = loaded.programs[name];
    const { retval, faults } = program.run({ data: program.type === 'syscall' ? undefined : PACKET });
    if (wanted !== undefined && (retval | 0) !== wanted)
      return { retval, ok: false, reason: `it returned ${retval | 0}, not ${wanted}` };
    const reason =
      faults.length > 0 ? `${faults.length} places touch arena pages that are not present` : undefined;
    return { retval, ok: true, ...(reason && { reason }) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (error.code === 'EOPNOTSUPP')
      return { ok: true, reason: 'its verdict is right; this kernel cannot run it' };
    const notRunnable = wanted === undefined && NOT_RUN.includes(error.code);
    return notRunnable
      ? { ok: true, reason: 'it cannot be run alone' }
      : { ok: false, reason: error.message };
  }
}
