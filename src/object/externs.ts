import type { Btf } from '../btf/index.ts';
import { STB_WEAK, STT_NOTYPE } from '../elf/index.ts';
import { BpfError } from '../errors.ts';
import type { DataSection } from './data-sections.ts';
import type { ObjectFile } from './object-file.ts';

/**
 * What the object declares and the kernel defines: kfuncs and kernel variables (`__ksym`), and kernel configuration
 * values (`__kconfig`), which the loader writes into a data section of their own. Rules: libbpf's
 * bpf_object__collect_externs and set_kcfg_value_*.
 */

export const KCONFIG_SECTION = '.kconfig';
export const KSYMS_SECTION = '.ksyms';

interface Declaration {
  readonly name: string;
  /** Declared weak: absent is fine, and reads as 0. */
  readonly weak: boolean;
  /** Type id in the object's BTF: of the func for a kfunc, of the variable's type otherwise. 0: `void`. */
  readonly type: number;
}

export interface Kfunc extends Declaration {
  readonly kind: 'kfunc';
}

export interface Ksym extends Declaration {
  readonly kind: 'ksym';
}

export interface Kconfig extends Declaration {
  readonly kind: 'kconfig';
  /** Bytes into {@link KCONFIG_SECTION}. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export type Extern = Kfunc | Ksym | Kconfig;

/** A configuration value as `/boot/config-…` has it: y, n, m, a number, or a string without its quotes. */
export type KconfigValue = 'y' | 'n' | 'm' | bigint | { string: string };

/** Finds what every undefined symbol declares. Throws EINVAL for one that type information does not explain. */
export function readExterns(file: ObjectFile): Extern[] {
  const undefinedSymbols = file.elf.symbols.filter(
    ({ section, name, type }) => section === 0 && name !== '' && type === STT_NOTYPE,
  );
  if (undefinedSymbols.length === 0) return [];
  const btf = file.requireBtf(`extern '${undefinedSymbols[0].name}'`);
  const declared = declarations(btf);
  const externs = undefinedSymbols.map((symbol): Extern => {
    const found = declared.get(symbol.name);
    if (found === undefined) {
      const advice = 'declare it with __ksym or __kconfig, or define it';
      throw new BpfError(
        'EINVAL',
        `extern '${symbol.name}': no section .ksyms or .kconfig declares it; ${advice}`,
      );
    }
    const base = { name: symbol.name, weak: symbol.binding === STB_WEAK, type: found.type };
    if (found.section === KCONFIG_SECTION) {
      return { ...base, kind: 'kconfig', offset: 0, size: kconfigSize(btf, symbol.name, found.type) };
    }
    return { ...base, kind: found.isFunction ? 'kfunc' : 'ksym' };
  });
  return [...externs.filter(({ kind }) => kind !== 'kconfig'), ...placeKconfigs(btf, externs)];
}

function declarations(btf: Btf): Map<string, { section: string; type: number; isFunction: boolean }> {
  const found = new Map<string, { section: string; type: number; isFunction: boolean }>();
  for (const section of [KCONFIG_SECTION, KSYMS_SECTION]) {
    const datasec = btf.idOf(section, 'datasec');
    const type = datasec === undefined ? undefined : btf.type(datasec);
    if (type?.kind !== 'datasec') continue;
    for (const { type: id } of type.variables) {
      const member = btf.type(id);
      if (member.kind === 'var') found.set(member.name, { section, type: member.type, isFunction: false });
      if (member.kind === 'func') found.set(member.name, { section, type: id, isFunction: true });
    }
  }
  return found;
}

/** Of all values together, in bytes. Declarations can claim any size; what libbpf reads are lines of 512 bytes. */
const MAX_KCONFIG = 2 ** 20;

/** Largest alignment first, then smallest size, then by name: libbpf's order, so that offsets agree. */
function placeKconfigs(btf: Btf, externs: readonly Extern[]): Kconfig[] {
  const kconfigs = externs.filter((each): each is Kconfig => each.kind === 'kconfig');
  const byPlace = (a: Kconfig, b: Kconfig) =>
    btf.alignOf(b.type) - btf.alignOf(a.type) || a.size - b.size || (a.name < b.name ? -1 : 1);
  let end = 0;
  return kconfigs.sort(byPlace).map((each) => {
    const align = btf.alignOf(each.type);
    const offset = Math.ceil(end / align) * align;
    end = offset + each.size;
    if (end > MAX_KCONFIG)
      throw new BpfError(
        'E2BIG',
        `extern (kcfg) '${each.name}': ${each.size} bytes are more than a value has`,
      );
    return { ...each, offset };
  });
}

type KconfigType = 'bool' | 'char' | 'integer' | 'tristate' | 'string';

/** What a declared type takes, by libbpf's rules (find_kcfg_type); undefined for one that takes nothing. */
function kconfigType(btf: Btf, id: number): KconfigType | undefined {
  const type = btf.type(btf.resolve(id));
  switch (type.kind) {
    case 'int':
      if (type.bool) return type.size === 1 ? 'bool' : undefined;
      if (type.size === 1) return 'char';
      return [2, 4, 8].includes(type.size) ? 'integer' : undefined;
    case 'enum':
      return type.size === 4 && type.name === 'libbpf_tristate' ? 'tristate' : undefined;
    case 'array':
      return type.nelems > 0 && kconfigType(btf, type.type) === 'char' ? 'string' : undefined;
    default:
      return undefined;
  }
}

function kconfigSize(btf: Btf, name: string, type: number): number {
  if (kconfigType(btf, type) !== undefined) return btf.sizeOf(type);
  const { kind } = btf.type(btf.resolve(type));
  const advice = 'declare it as bool, char, an integer, enum libbpf_tristate or a char array';
  throw new BpfError('EOPNOTSUPP', `extern (kcfg) '${name}': its type, ${kind}, is not supported; ${advice}`);
}

/**
 * Writes the configuration values into the section that programs read them from.
 *
 * @param lookup gives a value by name, or undefined when this kernel does not have it.
 * @returns the section, or undefined when the object declares none. Throws EINVAL when a value that is not weak is
 * absent, or does not fit its type.
 */
export function fillKconfig(
  btf: Btf | undefined,
  externs: readonly Extern[],
  lookup: (name: string) => KconfigValue | undefined,
): DataSection | undefined {
  const kconfigs = externs.filter((each): each is Kconfig => each.kind === 'kconfig');
  if (kconfigs.length === 0 || btf === undefined) return undefined;
  const end = Math.max(...kconfigs.map(({ offset, size }) => offset + size));
  const contents = new Uint8Array(end);
  for (const each of kconfigs) {
    const value = lookup(each.name);
    if (value !== undefined) writeKconfig(btf, each, value, contents);
    else if (!each.weak) {
      throw new BpfError(
        'EINVAL',
        `extern (kcfg) '${each.name}': not found; declare it __weak if it may be absent`,
      );
    }
  }
  const variables = kconfigs.map(({ name, type, offset, size }) => ({ name, type, offset, size }));
  const type = btf.idOf(KCONFIG_SECTION, 'datasec') ?? 0;
  return { name: KCONFIG_SECTION, index: -1, contents, readOnly: true, variables, type };
}

const TRISTATE = { n: 0, y: 1, m: 2 } as const;

function writeKconfig(btf: Btf, kconfig: Kconfig, value: KconfigValue, contents: Uint8Array): void {
  const { name, offset, size } = kconfig;
  const type = kconfigType(btf, kconfig.type);
  const refuse = (problem: string) => new BpfError('EINVAL', `extern (kcfg) '${name}': ${problem}`);
  if (typeof value === 'object') {
    if (type !== 'string') throw refuse('a string implies char array type');
    // What does not fit is cut off; the last byte stays 0.
    contents.set(new TextEncoder().encode(value.string).subarray(0, size - 1), offset);
  } else if (typeof value === 'bigint') {
    if (type === 'bool' && value !== 0n && value !== 1n)
      throw refuse(`value ${value} isn't boolean compatible`);
    if (type !== 'integer' && type !== 'char' && type !== 'bool')
      throw refuse(`value ${value} implies integer type`);
    const int = btf.type(btf.resolve(kconfig.type));
    const cut = int.kind === 'int' && int.signed ? BigInt.asIntN : BigInt.asUintN;
    if (size < 8 && cut(8 * size, value) !== value) throw refuse(`value ${value} does not fit ${size} bytes`);
    for (let at = 0; at < size; at++) contents[offset + at] = Number((value >> BigInt(8 * at)) & 0xffn);
  } else if (type === 'char') {
    contents[offset] = value.charCodeAt(0);
  } else if (type === 'tristate' || (type === 'bool' && value !== 'm')) {
    contents[offset] = TRISTATE[value];
  } else {
    throw refuse(`value '${value}' implies ${value === 'm' ? '' : 'bool, '}tristate or char type`);
  }
}
