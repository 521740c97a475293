import type { Btf } from '../btf/index.ts';
import type { DataSection } from '../object/data-sections.ts';
import { fillIn } from '../object/fill-in.ts';
import { type LinkedProgram, sourceLookup } from '../object/link.ts';
import type { MapSpec } from '../object/map-spec.ts';
import { MAP_TYPES } from '../object/map-types.ts';
import type { BpfObject, LinkTarget, ProgramSpec } from '../object/object.ts';
import { typesProblem } from '../verifier/fields.ts';
import type { MapInfo, Observation } from '../verifier/input.ts';
import type { VerifiedProgram } from '../verifier/result.ts';
import { verify } from '../verifier/verify.ts';
import { PAGE_SIZE } from './layout.ts';
import { mapInfo } from './map-info.ts';

/**
 * An object before the verifier: its maps as programs meet them, and its programs one by one. No map is made for it, so it
 * judges programs also where this kernel cannot run them yet. Loading asks the same judge.
 */

/** The embedded kernel, as far as verdicts depend on it. */
export interface JudgingKernel extends LinkTarget {
  readonly logLevel: number;
  /** Where an object's arena globals go. */
  readonly arenaGlobals: 'start' | 'end';
  readonly observation?: Observation | undefined;
}

export class Judge {
  readonly #object: BpfObject;
  readonly #kernel: JudgingKernel;
  /** The object's types as a kernel gets them; none when Linux would not take them. */
  readonly #btf: Btf | undefined;
  readonly #infos = new Map<string, MapInfo>();

  constructor(object: BpfObject, kernel: JudgingKernel) {
    this.#object = object;
    this.#kernel = kernel;
    const kconfig = object.kconfig(kernel);
    this.#btf = typesOf(object, kernel);
    for (const spec of mapsOf(object, kconfig)) {
      if (!spec.autocreate) continue;
      const section = [...object.data, ...(kconfig ? [kconfig] : [])].find(({ name }) => name === spec.name);
      const contents = section?.readOnly ? section.contents : undefined;
      this.#infos.set(spec.name, mapInfo(spec, this.#btf, kernel.btf, contents));
    }
  }

  /** A map as programs meet it. */
  infoOf(map: string): MapInfo | undefined {
    return this.#infos.get(map);
  }

  /** The verdict on a program alone. Throws VerifierError when it is refused, UnsupportedProgram when it cannot be judged. */
  judge(spec: ProgramSpec): VerifiedProgram {
    const linked = this.#object.link(spec, this.#kernel);
    const names = [...this.#infos.keys()];
    const numbers = new Map(names.map((name, index) => [name, index + 1]));
    fillIn(linked, {
      description: 'the embedded kernel',
      map: (name) => numbers.get(name),
      arenaGlobals: this.#arenaGlobals(numbers),
      kfunc: ({ name }) => this.#kernelType(name, 'func'),
      ksym: ({ name }) => this.#kernelType(name, 'var'),
    });
    return this.verify(spec, linked, (number) => names[number - 1]);
  }

  /** Verifies a program whose references are filled in. @param nameOf says which map a number in an instruction means. */
  verify(
    spec: ProgramSpec,
    linked: LinkedProgram,
    nameOf: (number: number) => string | undefined,
  ): VerifiedProgram {
    const { license } = this.#object;
    return verify({
      name: spec.name,
      type: spec.type,
      attachType: spec.attachType,
      attachTo: spec.attachTo,
      sleepable: spec.sleepable,
      flags: spec.flags,
      insns: linked.insns,
      subprograms: linked.functions,
      license,
      btf: this.#btf,
      kernelBtf: this.#kernel.btf,
      map: (number) => this.#infos.get(nameOf(number) ?? ''),
      sourceAt: sourceLookup(linked),
      logLevel: this.#kernel.logLevel,
      observation: this.#kernel.observation,
    });
  }

  /** The map that the verifier calls by this description. */
  nameOf(info: MapInfo): string | undefined {
    for (const [name, known] of this.#infos) if (known === info) return name;
    return undefined;
  }

  #kernelType(name: string, kind: 'func' | 'var'): { id: number } | undefined {
    const id = this.#kernel.btf?.idOf(name, kind);
    return id === undefined ? undefined : { id };
  }

  #arenaGlobals(numbers: ReadonlyMap<string, number>): { map: number; offset: number } | undefined {
    for (const [name, number] of numbers) {
      const spec = this.#object.maps[name];
      if (spec?.type !== MAP_TYPES.arena) continue;
      const bytes = this.#object.arenaGlobals?.contents.length ?? 0;
      const first = spec.maxEntries - Math.ceil(bytes / PAGE_SIZE);
      return { map: number, offset: this.#kernel.arenaGlobals === 'start' ? 0 : first * PAGE_SIZE };
    }
    return undefined;
  }
}

/** All maps of an object, that of its configuration values among them. */
export function mapsOf(object: BpfObject, kconfig: DataSection | undefined): MapSpec[] {
  return [...Object.values(object.maps), ...(kconfig ? [object.mapFor(kconfig)] : [])];
}

const loadable = new WeakMap<BpfObject, Btf>();

/** An object's types as a kernel gets them; none when Linux would not take them. */
function typesOf(object: BpfObject, kernel: JudgingKernel): Btf | undefined {
  let btf = loadable.get(object);
  if (btf === undefined) {
    btf = object.loadableBtf()?.build();
    if (btf !== undefined) loadable.set(object, btf);
  }
  return btf !== undefined && typesProblem(btf, kernel.btf) === undefined ? btf : undefined;
}
