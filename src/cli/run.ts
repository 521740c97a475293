import { Command, Option } from 'commander';
import type { LoadedProgram } from '../kernel.ts';
import { bytesOption, chooseProgram, integer, loadOnly, openObject, writeBytes } from './input.ts';
import { runIterator } from './iterate.ts';
import { type KernelName, kernelOption, openKernel } from './kernel.ts';
import { CliError, printJson } from './output.ts';
import { runPackets } from './packets.ts';
import { looksLikePcap } from './pcap.ts';
import { asJson, describeFault, plainGlobals, printResult, printState, printSummary } from './run-output.ts';
import { setGlobal } from './set.ts';

/**
 * `bpf-arena run`: loads the program that is meant and those that are to run before it, sets global variables, and runs it once, on all
 * CPUs, on each packet of a file, or as an iterator. What is said of it stands in `run-output.ts`.
 */

interface RunFlags {
  ctx?: string;
  data?: string;
  out?: string;
  repeat: number;
  cpu?: number | 'all';
  cpus?: number;
  kernel: KernelName;
  set: string[];
  after: string[];
  map?: string;
  faults: 'off' | 'report';
  engine: 'jit' | 'interpreter';
  maxInsns?: number;
  json?: boolean;
}

/** `bpf-arena run OBJ [PROG]`: loads one program and runs it. */
export function run(): Command {
  return new Command('run')
    .description('load and run a program')
    .argument('<object>', 'a BPF object file')
    .argument('[program]', 'which program; may be left out when there is one')
    .option('--ctx <bytes>', 'context: hex:… or a file')
    .option('--data <bytes>', 'packet: hex:… or a file; all packets of a pcap file, one by one')
    .option('--out <file>', 'where the packets of a pcap file go afterwards')
    .option('--repeat <n>', 'how often', integer(1), 1)
    .option('--cpu <n>', "on which CPU, or 'all'", cpuOption)
    .option('--cpus <n>', 'how many CPUs the embedded kernel has', integer(1))
    .addOption(kernelOption())
    .option(
      '--set <global=value>',
      'set a global variable before load: cnt=5, point.x=1, array=1,2,3 (repeatable)',
      collect,
      [],
    )
    .addOption(
      new Option('--faults <mode>', 'list accesses to absent arena pages')
        .choices(['off', 'report'])
        .default('off'),
    )
    .addOption(
      new Option('--engine <engine>', 'what runs it on the embedded kernel')
        .choices(['jit', 'interpreter'])
        .default('jit'),
    )
    .option('--after <program>', 'run another program of the object first (repeatable)', collect, [])
    .option('--map <name>', 'of an iterator over elements: the map whose')
    .option('--max-insns <n>', 'interpret it, and stop after so many instructions', integer(1))
    .option('--json', 'print one JSON value')
    .action(runProgram);
}

const cpuOption = (value: string) => (value === 'all' ? value : integer(0)(value));

const collect = (value: string, all: string[]) => [...all, value];

async function runProgram(path: string, name: string | undefined, flags: RunFlags): Promise<void> {
  const ctx = await bytesOption(flags.ctx);
  const data = await bytesOption(flags.data);
  const object = await openObject(path);
  const chosen = chooseProgram(object, name);
  const before = flags.after.map((each) => chooseProgram(object, each));
  const iterates = chosen.attachType === 'trace_iter';
  if (iterates) checkIteratorFlags(flags);
  else if (flags.map !== undefined) throw new CliError('--map is for iterators, SEC("iter/bpf_map_elem")');
  for (const assignment of flags.set) setGlobal(object, assignment);
  loadOnly(object, [chosen, ...before]);
  if (flags.faults === 'report' && flags.kernel === 'linux') {
    throw new CliError('Linux does not tell of accesses to absent pages; use --kernel embedded');
  }
  using kernel = await openKernel(flags);
  using loaded = await object.load(kernel);
  const program = loaded.programs[chosen.name];
  const options = { ctx, data, repeat: flags.repeat };
  const globals = () => plainGlobals(loaded);
  for (const { name: first } of before) runBefore(loaded.programs[first]);
  if (iterates) {
    const { output, faults } = runIterator(loaded, chosen, flags.map, flags.json === true);
    if (flags.json) printJson({ program: chosen.name, output, globals: globals(), faults });
    else for (const fault of faults) console.error(describeFault(fault));
    return;
  }
  if (data !== undefined && looksLikePcap(data)) {
    const { summary, answers } = runPackets(program, data, flags.data as string, {
      ctx,
      repeat: flags.repeat,
    });
    if (flags.out !== undefined) await writeBytes(flags.out, answers);
    if (flags.json) printJson({ ...summary, globals: globals() });
    else {
      printSummary(summary);
      printState(globals(), loaded);
    }
    return;
  }
  if (flags.out !== undefined) throw new CliError('--out wants the packets of a pcap file, given by --data');
  if (flags.cpu === 'all') {
    const results = await program.runOnAll(options);
    if (flags.json) printJson(results.map((result) => asJson(chosen.name, result, globals())));
    else {
      for (const [cpu, result] of results.entries())
        printResult(`CPU ${cpu}: ${chosen.name}`, chosen.type, result);
      printState(globals(), loaded);
    }
    return;
  }
  const result = flags.cpu === undefined ? program.run(options) : await program.runOn(flags.cpu, options);
  if (flags.json) {
    printJson(asJson(chosen.name, result, globals()));
    return;
  }
  printResult(chosen.name, chosen.type, result);
  printState(globals(), loaded);
}

/** A program that prepares something for the one that was chosen. It has to come to a good end. */
function runBefore(program: LoadedProgram): void {
  const { retval } = program.run();
  if (program.type === 'syscall' && retval !== 0)
    throw new CliError(`program '${program.name}', which was to run first, returned ${retval | 0}`, 1);
}

/** Throws for what only programs that are run once have. */
function checkIteratorFlags({ ctx, data, out, repeat, cpu }: RunFlags): void {
  const given = Object.entries({ ctx, data, out, cpu, repeat: repeat === 1 ? undefined : repeat });
  const [flag] = given.find(([, value]) => value !== undefined) ?? [];
  if (flag !== undefined) throw new CliError(`an iterator is run as it is read: it takes no --${flag}`);
}
