import { type Btf, BtfBuilder, type BtfDatasec, type BtfVarSecinfo } from '../btf/index.ts';
import { INSN_SIZE } from '../isa/instruction.ts';
import type { CodeSection } from './code.ts';
import { offsetOf } from './data-sections.ts';
import { type Extern, KCONFIG_SECTION, KSYMS_SECTION } from './externs.ts';
import type { ObjectFile } from './object-file.ts';

/**
 * The object's BTF in the form that BPF_BTF_LOAD takes. Compilers leave to the loader what only the ELF file knows: sizes
 * of sections, offsets of variables, which functions are hidden; and a kernel takes no declarations of what it defines.
 * Rules: libbpf's btf_fixup_datasec, bpf_object__collect_externs, and mark_btf_static. Type ids stay what they are.
 */
export function loadableBtf(
  file: ObjectFile,
  code: readonly CodeSection[],
  externs: readonly Extern[],
): BtfBuilder | undefined {
  const { btf } = file;
  if (btf === undefined) return undefined;
  const builder = BtfBuilder.from(btf);
  const count = builder.count;
  for (let id = 1; id < count; id++) {
    const type = btf.type(id);
    if (type.kind === 'datasec') builder.set(id, fixDatasec(file, btf, builder, type, externs));
    else if (type.kind === 'func' && type.linkage === 'extern') defineFunction(btf, builder, id);
    else if (type.kind === 'var' && type.linkage === 'extern') {
      // `extern const void symbol` has no type that a variable could have.
      const isVoid = btf.kindOf(btf.resolve(type.type)) === 'void';
      builder.set(id, { ...type, type: isVoid ? builder.int('int', 4) : type.type, linkage: 'global' });
    }
  }
  for (const section of code) hideFunctions(file, btf, builder, section);
  return builder;
}

function fixDatasec(
  file: ObjectFile,
  btf: Btf,
  builder: BtfBuilder,
  datasec: BtfDatasec,
  externs: readonly Extern[],
): BtfDatasec {
  if (datasec.name === KSYMS_SECTION) return placeholders(builder, datasec);
  const offsets = new Map<string, number>();
  let size = datasec.size;
  if (datasec.name === KCONFIG_SECTION) {
    for (const each of externs) {
      if (each.kind !== 'kconfig') continue;
      offsets.set(each.name, each.offset);
      size = Math.max(size, each.offset + each.size);
    }
  } else {
    const section = file.section(datasec.name);
    for (const { name, value } of section ? file.symbolsOf(section) : []) offsets.set(name, value);
    size = section?.size ?? size;
  }
  const variables = datasec.variables.map(({ type, offset, size: bytes }): BtfVarSecinfo => {
    const variable = btf.type(type);
    if (variable.kind !== 'var') return { type, offset, size: bytes };
    const at = offsetOf(variable, offset, offsets.get(variable.name));
    return { type, offset: at, size: bytes || btf.sizeOf(variable.type) };
  });
  return { ...datasec, size, variables: variables.sort((a, b) => a.offset - b.offset) };
}

/** A kernel wants variables in a section, not functions, and none of its own: an integer stands for each symbol. */
function placeholders(builder: BtfBuilder, datasec: BtfDatasec): BtfDatasec {
  const int = builder.int('int', 4);
  const variables = datasec.variables.map((_, index): BtfVarSecinfo => {
    const type = builder.add({ kind: 'var', name: 'dummy_ksym', type: int, linkage: 'global' });
    return { type, offset: index * 4, size: 4 };
  });
  return { ...datasec, size: variables.length * 4, variables };
}

/** A function that the kernel defines becomes a global one; those must name their parameters. */
function defineFunction(btf: Btf, builder: BtfBuilder, id: number): void {
  const func = btf.type(id);
  if (func.kind !== 'func') return;
  builder.set(id, { ...func, linkage: 'global' });
  const proto = btf.type(func.type);
  if (proto.kind !== 'func_proto') return;
  const params = proto.params.map((param) =>
    param.name === '' && param.type !== 0 ? { ...param, name: 'dummy_ksym' } : param,
  );
  builder.set(func.type, { ...proto, params });
}

/** A hidden function is verified with its callers, as a static one. */
function hideFunctions(file: ObjectFile, btf: Btf, builder: BtfBuilder, section: CodeSection): void {
  const hidden = new Set(
    section.functions.filter(({ linkage }) => linkage === 'static').map(({ start }) => start),
  );
  for (const { insnOffset, type: id } of file.ext?.funcInfo.get(section.name) ?? []) {
    const func = hidden.has(insnOffset / INSN_SIZE) ? btf.type(id) : undefined;
    if (func?.kind === 'func') builder.set(id, { ...func, linkage: 'static' });
  }
}
