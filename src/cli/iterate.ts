import { BpfError, type LoadedObject, type ProgramSpec } from '../index.ts';
import type { BpfMap, Iteration, LoadedProgram } from '../kernel.ts';
import { CliError } from './output.ts';

/** `bpf-arena run` on an iterator program: what it writes goes to stdout as it is. */

/** What stands for bytes in JSON: text, where they are any. */
function asText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return `hex:${Buffer.from(bytes).toString('hex')}`;
  }
}

/** Runs it to its end. @param json whether what it writes is wanted as a value. @returns that, and its faults. */
export function runIterator(
  loaded: LoadedObject,
  spec: ProgramSpec,
  mapName: string | undefined,
  json: boolean,
): { output?: string; faults: Iteration['faults'] } {
  using iteration = begin(loaded, loaded.programs[spec.name], spec, mapName);
  if (json) return { output: asText(iteration.bytes()), faults: iteration.faults };
  for (const piece of iteration) process.stdout.write(piece);
  return { faults: iteration.faults };
}

function begin(
  { object, maps }: LoadedObject,
  program: LoadedProgram,
  { attachTo }: ProgramSpec,
  mapName: string | undefined,
): Iteration {
  if (mapName !== undefined) {
    const map = Object.hasOwn(maps, mapName) ? maps[mapName] : undefined;
    if (map !== undefined) return program.iterate({ map });
    throw new CliError(`there is no map '${mapName}'; there are ${Object.keys(maps).join(', ')}`);
  }
  if (attachTo !== 'bpf_map_elem') return program.iterate();
  const sections = object.data.map(({ name }) => name);
  const names = Object.keys(maps).filter((name) => !sections.includes(name) && fits(program, maps[name]));
  if (names.length === 1) return program.iterate({ map: maps[names[0]] });
  const found = names.length === 0 ? 'none of the object fits' : `${names.join(', ')} would do`;
  throw new CliError(`program '${program.name}' iterates over elements: --map says of which map; ${found}`);
}

/** Whether a program can iterate over a map. */
function fits(program: LoadedProgram, map: BpfMap): boolean {
  try {
    program.iterate({ map }).close();
    return true;
  } catch (error) {
    if (error instanceof BpfError && (error.code === 'EINVAL' || error.code === 'EACCES')) return false;
    throw error;
  }
}
