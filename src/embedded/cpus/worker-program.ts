import { BpfError } from '../../errors.ts';
import type { ArenaFault } from '../../interpreter/environment.ts';
import type { Code } from '../../interpreter/machine.ts';
import type { ProgramType } from '../../object/program-types.ts';
import { Arena } from '../arena.ts';
import type { Cpu } from '../cpu.ts';
import { type Entry, instantiate } from '../instance.ts';
import type { RunningProgram } from './host.ts';
import type { ProgramParts, SentFault } from './messages.ts';
import type { WorkerHost } from './worker-host.ts';

/** A compiled program on a worker CPU. */
export class WorkerProgram implements RunningProgram {
  readonly id: number;
  readonly name: string;
  readonly type: ProgramType;
  readonly attachType: string | undefined;
  readonly contextBytes: number;
  readonly arena: Arena | undefined;
  /** The id of the arena's map. */
  readonly arenaId: number | undefined;
  readonly compiled: { entry(cpu: Cpu): Entry };

  constructor(host: WorkerHost, cpu: Cpu, { id, module, calls, arena, ...user }: ProgramParts) {
    this.name = user.name;
    this.type = user.type;
    this.attachType = user.attachType;
    this.contextBytes = user.contextBytes;
    this.arena = arena && new Arena(host.memory, arena.shared.attributes, arena.shared);
    this.arenaId = arena?.id;
    if (arena !== undefined) host.addArena(arena.id, arena.shared);
    const entry = instantiate(module, cpu, this.arena, calls, id);
    this.compiled = { entry: () => entry };
    this.id = id;
    cpu.tailCalls.admit(this);
  }

  get code(): Code {
    throw new BpfError('EOPNOTSUPP', `program '${this.name}': only CPU 0 has an interpreter`);
  }

  /** What is known here; the thread that has the sources says where that is, and what the page is. */
  explain(fault: ArenaFault & { count: number }): SentFault {
    return { ...fault, owner: fault.program, program: this.name, function: this.name, page: 'outside' };
  }
}
