import { BpfError } from '../errors.ts';
import type { Kernel, NewMap, Verification } from '../kernel.ts';
import type { KconfigValue } from '../object/externs.ts';
import { mapSpec } from '../object/map-definitions.ts';
import type { MapSpec } from '../object/map-spec.ts';
import type { BpfObject, LinkTarget, ProgramSpec } from '../object/object.ts';
import { showAs } from '../shown.ts';
import { requireLinux } from './available.ts';
import { createMap } from './create-map.ts';
import { Owned } from './fd.ts';
import { kconfigValue } from './kconfig.ts';
import { kernelBtf } from './kernel-types.ts';
import { LinuxLoad } from './load.ts';
import type { LinuxMap } from './map.ts';

/** The Linux kernel that this process runs on, as a kernel that loads objects. */

export interface LinuxOptions {
  /** What programs' `log` holds: 0 nothing unless refused (default), 1 or 2 as Linux has them, 4 statistics alone. */
  logLevel?: number;
  /** Gets what went wrong without stopping a load. */
  onWarning?: (text: string) => void;
  /** Kernel configuration values for `__kconfig` externs, over the running kernel's. */
  kconfig?: Readonly<Record<string, KconfigValue>>;
}

export class LinuxKernel implements Kernel<LinuxLoad>, LinkTarget {
  readonly name = 'linux';
  readonly #options: LinuxOptions;
  readonly #loads = new Set<LinuxLoad>();
  readonly #maps = new Owned();
  #closed = false;

  /** Throws EOPNOTSUPP with the reason when this process cannot use the Linux kernel. */
  constructor(options: LinuxOptions = {}) {
    requireLinux();
    this.#options = options;
  }

  /** Of vmlinux, read when first asked for. */
  get btf() {
    return kernelBtf();
  }

  kconfig(name: string): KconfigValue | undefined {
    return this.#options.kconfig?.[name] ?? kconfigValue(name);
  }

  async load(object: BpfObject): Promise<LinuxLoad> {
    return this.#load(object);
  }

  async verify(object: BpfObject, program: ProgramSpec): Promise<Verification> {
    const load = this.#load(object, program);
    const { log } = load.programs[program.name];
    load.close();
    return { log };
  }

  #load(object: BpfObject, only?: ProgramSpec): LinuxLoad {
    if (this.#closed) throw new BpfError('EBADF', 'the kernel is closed');
    const { logLevel = 0, onWarning = () => {} } = this.#options;
    const load = LinuxLoad.start(object, this, { logLevel, warn: onWarning, only }, (closed) =>
      this.#loads.delete(closed),
    );
    this.#loads.add(load);
    return load;
  }

  createMap(settings: NewMap): LinuxMap {
    if (this.#closed) throw new BpfError('EBADF', 'the kernel is closed');
    return createMap(specOf(settings), undefined, this.#maps);
  }

  close(): void {
    this.#closed = true;
    this.#maps.close();
    for (const load of [...this.#loads]) load.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function specOf({ name = 'map', inner, ...settings }: NewMap): MapSpec {
  const set = Object.entries(settings).filter(([, value]) => value !== undefined);
  return mapSpec(name, { ...Object.fromEntries(set), inner: inner && specOf(inner) });
}

showAs(LinuxKernel, ({ name }) => ({ name }));
