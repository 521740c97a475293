import { readdirSync, readFileSync } from 'node:fs';
import { Btf, type BtfKind } from '../btf/index.ts';
import type { KernelType } from '../object/fill-in.ts';
import { idsOf, infoOf, openById } from './bpf.ts';
import type { Fd, Owned } from './fd.ts';

/**
 * The running kernel's own types: `/sys/kernel/btf/vmlinux`, read when first asked for and kept for the process, and
 * those of its modules, which continue it. Measured on 5.5 MB of vmlinux: 25 ms to open, 35 ms more for the first name.
 */

const FOLDER = '/sys/kernel/btf';

let vmlinux: Btf | undefined | 'unread' = 'unread';

/** The kernel's BTF; undefined when it was built without (CONFIG_DEBUG_INFO_BTF). */
export function kernelBtf(): Btf | undefined {
  if (vmlinux === 'unread') {
    try {
      vmlinux = Btf.read(readFileSync(`${FOLDER}/vmlinux`));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      vmlinux = undefined;
    }
  }
  return vmlinux;
}

interface Module {
  readonly name: string;
  readonly btf: Btf;
  readonly fd: Fd;
}

/** Types of the kernel and its modules, for one load: module BTF is held open until the load owns nothing more. */
export class KernelTypes {
  readonly #owned: Owned;
  #modules: Module[] | undefined;
  /** Modules in the order of their first use: `fd_array` of BPF_PROG_LOAD, counted from 1. */
  readonly #used: Module[] = [];

  constructor(owned: Owned) {
    this.#owned = owned;
  }

  /** Finds a type by name and kind, in the kernel first and then in modules. */
  find(name: string, kind: BtfKind): KernelType | undefined {
    const base = kernelBtf();
    const id = base?.idOf(name, kind);
    if (id !== undefined) return { id };
    if (base === undefined) return undefined;
    this.#modules ??= this.#openModules(base);
    for (const module of this.#modules) {
      const found = module.btf.idOf(name, kind);
      if (found === undefined) continue;
      if (!this.#used.includes(module)) this.#used.push(module);
      return { id: found, btf: module.fd.number, offset: this.#used.indexOf(module) + 1 };
    }
    return undefined;
  }

  /** Finds a structure that has a member, and which of its members that is. */
  findMember(structure: string, name: string): (KernelType & { readonly member: number }) | undefined {
    const found = this.find(structure, 'struct');
    if (found === undefined) return undefined;
    const btf = found.offset === undefined ? kernelBtf() : this.#used[found.offset - 1].btf;
    const type = btf?.type(found.id);
    const member = type?.kind === 'struct' ? type.members.findIndex((each) => each.name === name) : -1;
    return member < 0 ? undefined : { ...found, member };
  }

  /** `fd_array`: file descriptors, by the offsets that {@link find} gave; undefined when no module is used. */
  get fdArray(): Int32Array | undefined {
    if (this.#used.length === 0) return undefined;
    return Int32Array.from([0, ...this.#used.map(({ fd }) => fd.number)]);
  }

  #openModules(base: Btf): Module[] {
    const names = readdirSync(FOLDER).filter((name) => name !== 'vmlinux');
    if (names.length === 0) return [];
    const modules: Module[] = [];
    for (const id of idsOf('btf')) {
      const fd = openById('btf', id);
      const text = new Uint8Array(64);
      const { kernel_btf } = infoOf('btf', fd.number, { name: text, name_len: text.length });
      const name = new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
      if (kernel_btf !== 0 && names.includes(name)) {
        modules.push({
          name,
          btf: Btf.read(readFileSync(`${FOLDER}/${name}`), { base }),
          fd: this.#owned.add(fd),
        });
      } else fd.close();
    }
    return modules;
  }
}
