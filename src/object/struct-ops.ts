import type { ObjectFile } from './object-file.ts';

/**
 * Which programs are whose operations: a variable in `.struct_ops`, of a structure of the kernel's, holds functions of the object
 * where that structure has pointers to functions (libbpf: bpf_object__collect_st_ops_relos). A program is verified for the one
 * that holds it.
 */

const SECTION = /^\??\.struct_ops(\.link)?$/;

/** By the function's name: `STRUCT.MEMBER`, without a flavour's `___suffix`. */
export function readStructOps(file: ObjectFile): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const { btf } = file;
  for (const section of file.elf.sections) {
    const relocations = file.elf.relocations.get(section.index);
    if (!SECTION.test(section.name) || relocations === undefined || btf === undefined) continue;
    const datasec = btf.type(btf.idOf(section.name, 'datasec') ?? 0);
    if (datasec.kind !== 'datasec') continue;
    for (const { type, offset: start, size } of datasec.variables) {
      const variable = btf.type(type);
      const struct = variable.kind === 'var' ? btf.type(btf.resolve(variable.type)) : undefined;
      if (struct?.kind !== 'struct') continue;
      for (const { offset, symbol } of relocations) {
        if (offset < start || offset >= start + size) continue;
        const member = struct.members.find(({ bitOffset }) => bitOffset === 8 * (offset - start));
        if (member !== undefined && symbol.name !== '')
          found.set(symbol.name, `${struct.name.replace(/___.*/, '')}.${member.name}`);
      }
    }
  }
  return found;
}
