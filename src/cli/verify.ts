import { Command } from 'commander';
import { BpfError, type OpenedObject, type ProgramSpec, VerifierError } from '../index.ts';
import { chooseProgram, integer, openObject, requirePrograms } from './input.ts';
import { type KernelName, kernelOption, openKernel } from './kernel.ts';
import { duration, print, printJson, styled } from './output.ts';

/** What a kernel says to a program. */
export interface Verdict {
  program: string;
  section: string;
  type: string;
  verdict: 'accepted' | 'rejected' | 'unsupported';
  errno?: number;
  message?: string;
  /** Instructions the verifier processed. */
  insnsProcessed: number;
  /** The verifier's own time where it tells, else that of loading; nanoseconds. */
  timeNs: number;
  log?: string;
  /** Of a rejected program: what it means, in two or three sentences. */
  explanation?: readonly string[];
}

interface VerifyFlags {
  kernel: KernelName;
  logLevel: number;
  json?: boolean;
}

/** BPF_LOG_STATS: the log ends with what verification took. */
const LOG_STATS = 4;

/** `bpf-arena verify OBJ [PROG…]`: verdicts only. */
export function verify(): Command {
  return new Command('verify')
    .description('verdicts only')
    .argument('<object>', 'a BPF object file')
    .argument('[programs...]', 'which programs; all by default')
    .option('--log-level <n>', 'the verifier log: 0 none, 1, 2', integer(0), 0)
    .addOption(kernelOption())
    .option('--json', 'print one JSON value')
    .action(async (path: string, names: string[], flags: VerifyFlags) => {
      const all = await openObject(path);
      requirePrograms(all);
      const chosen =
        names.length > 0 ? names.map((name) => chooseProgram(all, name)) : Object.values(all.programs);
      const verdicts: Verdict[] = [];
      for (const { name } of chosen) {
        // A fresh object for each: loading may change it.
        const object = await openObject(path);
        verdicts.push(await verdictOn(object, object.programs[name], flags));
        if (!flags.json) printVerdict(verdicts[verdicts.length - 1]);
      }
      if (flags.json) printJson(verdicts);
      if (verdicts.some(({ verdict }) => verdict !== 'accepted')) process.exitCode = 1;
    });
}

/** Asks a kernel about one program. */
async function verdictOn(
  object: OpenedObject,
  spec: ProgramSpec,
  { kernel: name, logLevel }: { kernel: KernelName; logLevel: number },
): Promise<Verdict> {
  using kernel = await openKernel({ kernel: name, logLevel: logLevel | LOG_STATS });
  const verdict = { program: spec.name, section: spec.section, type: spec.type, insnsProcessed: 0 };
  const start = performance.now();
  const took = () => Math.round((performance.now() - start) * 1e6);
  try {
    const { log } = await object.verify(spec.name, kernel);
    return { ...verdict, verdict: 'accepted', ...statistics(log, took()), ...(logLevel > 0 && { log }) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const log = error instanceof VerifierError ? error.log : undefined;
    const unsupported = error.code === 'EOPNOTSUPP' && log === undefined;
    return {
      ...verdict,
      verdict: unsupported ? 'unsupported' : 'rejected',
      errno: error.errno,
      message: error instanceof VerifierError ? error.problem : error.message,
      ...statistics(log ?? '', took()),
      ...(log && logLevel > 0 && { log }),
      ...(error instanceof VerifierError && { explanation: error.explanation }),
    };
  }
}

/** What the last lines of a log say. */
function statistics(log: string, took: number): Pick<Verdict, 'insnsProcessed' | 'timeNs'> {
  const processed = /^processed (\d+) insns/m.exec(log);
  const time = /^verification time (\d+) usec/m.exec(log);
  return { insnsProcessed: Number(processed?.[1] ?? 0), timeNs: time ? Number(time[1]) * 1e3 : took };
}

const STYLES = { accepted: 'green', rejected: 'red', unsupported: 'yellow' } as const;

function printVerdict(found: Verdict): void {
  const { program, type, verdict, message, insnsProcessed, timeNs, log, explanation = [] } = found;
  const detail = message ?? `${insnsProcessed} instructions processed in ${duration(timeNs)}`;
  print(`${styled(STYLES[verdict], verdict.padEnd(11))} ${styled('bold', program)} (${type}): ${detail}`);
  if (log) print(indented(log.trimEnd()));
  if (explanation.length > 0) print(indented(explanation.join('\n')));
}

function indented(text: string): string {
  return text.replace(/^/gm, '    ');
}
