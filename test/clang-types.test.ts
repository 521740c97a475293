/**
 * ELF and BTF against the tools that define them: objects that clang makes are read, C that we print is compiled and
 * measured by clang, and llvm-readelf reads what we write.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Btf, CoreResolver, printC, printTs, readBtfExt } from '../src/btf/index.ts';
import { readElf, SHF_EXECINSTR, STT_FUNC, STT_SECTION } from '../src/elf/index.ts';
import { compileBpf, noClang } from './clang.ts';
import { object } from './fixtures.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const noVmlinux = existsSync(VMLINUX) ? noClang : `${VMLINUX} is not there`;

/** Layouts that are hard to print: packing, holes, bit fields that end, cross and start words, nested anonymity. */
const LAYOUTS = `
typedef unsigned char u8; typedef unsigned long u64; typedef int (*cb_t)(struct late *, const char *);
enum small { S0, S1 = -5 } ; enum wide { W0 = 1ULL << 40 }; enum tiny { T0 } __attribute__((packed));
struct fwd_only; struct late;
struct bits { int a:3; unsigned :5; unsigned b:7; u64 c:33; u8 d:2; int :0; int e:4; _Bool f:1; };
struct packed { u8 a; u64 b; int c; } __attribute__((packed));
struct packed_bits { u8 a; unsigned b:30; unsigned c:31; } __attribute__((packed));
struct aligned { int a; } __attribute__((aligned(64)));
struct holds { u8 a; struct aligned b; u8 c; struct packed d; u8 e; };
union big { int a; char b[5]; } ; union padded { int a; } __attribute__((aligned(16)));
struct anon { union { int i; struct { short lo, hi; }; float *f; }; struct { int x; } in[2]; enum { P, Q } e, g; };
struct self { struct self *next; struct late *late; cb_t cb; struct fwd_only *f; int (*(*deep)(int, ...))[3]; };
struct late { struct self self; const volatile char *const names[4]; enum tiny t; enum wide w; char tail[]; };
struct tagged { int v __attribute__((btf_decl_tag("m"))); int __attribute__((btf_type_tag("user"))) *p; }
  __attribute__((btf_decl_tag("t")));
struct all { struct bits a; struct packed b; struct packed_bits c; struct aligned d; struct holds e; union big f;
  union padded g; struct anon h; struct self i; struct tagged k; enum small l; __int128 m; double n; } all;
struct late late; u64 counter = 1; struct { int a; char name[16]; } pair[2];
`;

function section(elf: ReturnType<typeof readElf>, name: string): Uint8Array {
  return elf.sections.find((candidate) => candidate.name === name)?.data ?? assert.fail(`no ${name}`);
}

function btfOf(source: string): Btf {
  return Btf.read(section(readElf(compileBpf(source)), '.BTF'));
}

/** C assertions that every named struct and union has the size and offsets that the BTF says. */
function layoutAssertions(btf: Btf, except: readonly string[] = []): string {
  const lines: string[] = [];
  // Later users of a tag are printed under another name.
  const seen = new Set(except);
  for (let id = 1; id < btf.count; id++) {
    const type = btf.type(id);
    const isStruct = type.kind === 'struct' || type.kind === 'union';
    if (type.name === '' || !(isStruct || type.kind === 'enum' || type.kind === 'enum64')) continue;
    if (seen.has(type.name)) continue;
    seen.add(type.name);
    if (!isStruct) continue;
    const name = `${type.kind} ${type.name}`;
    lines.push(`_Static_assert(sizeof(${name}) == ${type.size}, "size of ${name}");`);
    for (const member of type.members) {
      if (member.name === '' || member.bitfieldSize > 0) continue;
      const where = `__builtin_offsetof(${name}, ${member.name})`;
      lines.push(`_Static_assert(${where} == ${member.bitOffset / 8}, "${name}.${member.name}");`);
    }
  }
  assert.ok(lines.length > 10);
  return `\n${lines.join('\n')}\n`;
}

/** Bit fields cannot be asked for their offset in C: the BTF of the printed text tells. */
function layouts(btf: Btf): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (let id = 1; id < btf.count; id++) {
    const type = btf.type(id);
    if ((type.kind !== 'struct' && type.kind !== 'union') || type.name === '') continue;
    const members = type.members.map(({ name, bitOffset, bitfieldSize }) => [name, bitOffset, bitfieldSize]);
    found.set(`${type.kind} ${type.name}`, [
      type.size,
      members.filter(([name]) => !`${name}`.startsWith('__pad')),
    ]);
  }
  return found;
}

test('C printed from BTF has the layout of the C that it came from', { skip: noClang }, () => {
  const btf = btfOf(LAYOUTS);
  const uses = 'struct all all_; struct late late_;';
  const again = btfOf(`${printC(btf)}${uses}${layoutAssertions(btf)}`);
  assert.deepEqual(layouts(again), layouts(btf));
  const tagged = again.idOf('tagged') ?? 0;
  assert.deepEqual([again.declTags(tagged), again.declTags(tagged, 0)], [['t'], ['m']]);
});

test('TypeScript printed from BTF compiles under strict', { skip: noClang }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'bpf-arena-'));
  try {
    const view = 'export type ArrayView<T> = { [i: number]: T };\nexport type Pointer<T> = { value: T };\n';
    writeFileSync(join(directory, 'view.ts'), view);
    const use = `export function use({ pair, all, counter }: Globals): [bigint, number] {
      pair[1].name = 'second';
      return [counter + BigInt(all.i.next?.next === null ? 1 : 0), pair[0].name[0]];
    }`;
    const text = printTs(btfOf(LAYOUTS), { importFrom: './view.ts' });
    writeFileSync(join(directory, 'types.ts'), `${text}${use}`);
    const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
    const flags = [
      '--ignoreConfig',
      '--strict',
      '--noEmit',
      '--allowImportingTsExtensions',
      '--module',
      'nodenext',
    ];
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...flags, join(directory, 'types.ts')]);
    assert.equal(status, 0, `${stdout}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('programs, symbols, relocations and lines of a clang object are found', { skip: noClang }, () => {
  const source = `
    int shared = 5; extern long bpf_kfunc(int) __attribute__((section(".ksyms"), weak));
    __attribute__((section("xdp"))) int first(void *ctx) { return shared; }
    __attribute__((section("xdp"))) int second(void *ctx) { return bpf_kfunc(shared); }`;
  const elf = readElf(compileBpf(source));
  const xdp = elf.sections.find(({ name }) => name === 'xdp') ?? assert.fail();
  assert.ok(xdp.flags & SHF_EXECINSTR);
  const programs = elf.symbols.filter(({ section, type }) => section === xdp.index && type === STT_FUNC);
  assert.deepEqual(
    programs.map(({ name }) => name),
    ['first', 'second'],
  );
  const relocations = elf.relocations.get(xdp.index) ?? [];
  assert.deepEqual(
    relocations.map(({ symbol }) => symbol.name),
    ['shared', 'shared', 'bpf_kfunc'],
  );
  assert.ok(relocations.every(({ symbol }) => symbol.type !== STT_SECTION));
  const btf = Btf.read(section(elf, '.BTF'));
  const { funcInfo, lineInfo } = readBtfExt(section(elf, '.BTF.ext'), btf);
  assert.deepEqual(
    funcInfo.get('xdp')?.map(({ insnOffset, type }) => [btf.nameOf(type), insnOffset]),
    programs.map(({ name, value }) => [name, value]),
  );
  assert.deepEqual([...new Set(lineInfo.get('xdp')?.map(({ line }) => line))], [3, 4]);
});

test('CO-RE gives the offsets that clang gives for the target', { skip: noClang }, () => {
  const program = `
    #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
    struct inner { int x; int y[4]; };
    struct target { int a; struct inner in; struct inner *p; unsigned f:3; int gone; };
    #pragma clang attribute pop
    __attribute__((section("syscall"))) long f(struct target *t) {
      return t->a + t->in.y[2] + t->p->x + __builtin_preserve_field_info(t->f, 5) +
        __builtin_preserve_field_info(t->gone, 2) + __builtin_preserve_type_info(*t, 1); }`;
  const kernel = `
    struct inner { long pad; int y[8]; int x; };
    struct target { struct { char c[100]; struct { int a; struct inner in; }; }; struct inner *p; unsigned f:9; } t;
    #define AT(path, offset) _Static_assert(__builtin_offsetof(struct target, path) == offset, "")
    AT(a, 104); AT(in.y[2], 128); AT(p, 160); _Static_assert(__builtin_offsetof(struct inner, x) == 40, "");
    _Static_assert(sizeof(struct target) == 176, "");`;
  const elf = readElf(compileBpf(program));
  const local = Btf.read(section(elf, '.BTF'));
  const { coreRelos } = readBtfExt(section(elf, '.BTF.ext'), local);
  const resolver = new CoreResolver(local, btfOf(kernel));
  const results = (coreRelos.get('syscall') ?? []).map((relo) => {
    const { newValue, poison } = resolver.resolve(relo);
    return `${local.nameOf(relo.type)} ${relo.access} ${relo.kind} ${poison ? 'poison' : newValue}`;
  });
  assert.deepEqual(results.sort(), [
    'inner 0:0 byte_off 40',
    'target 0 type_size 176',
    'target 0:0 byte_off 104',
    'target 0:1:1:2 byte_off 128',
    'target 0:2 byte_off 160',
    'target 0:3 rshift_u64 55',
    'target 0:4 field_exists 0',
  ]);
});

test('llvm-readelf reads what we write', { skip: noClang }, () => {
  const { status, stdout, stderr } = spawnSync('llvm-readelf-22', ['-S', '-s', '-r', '-'], {
    input: object,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /\[ 3\] \.bss +NOBITS +0+ [0-9a-f]+ 100000 00 +WA +0 +0 4096/);
  assert.match(stdout, /R_BPF_64_64 +0+ head/);
  assert.match(stdout, /FUNC +GLOBAL DEFAULT +1 main/);
  assert.match(stdout, /NOTYPE +GLOBAL DEFAULT +UND bpf_arena_alloc_pages/);
});

test("the running kernel's types open, are found, and print as a header that compiles", {
  skip: noVmlinux,
}, () => {
  const bytes = readFileSync(VMLINUX);
  const started = performance.now();
  const btf = Btf.read(bytes);
  assert.ok(btf.idOf('task_struct', 'struct') !== undefined);
  const took = performance.now() - started;
  assert.ok(took < 20_000, `opening and one name took ${took} ms`);
  // x86's va_list, which warn_args holds, has another size on BPF.
  compileBpf(`#define BPF_NO_PRESERVE_ACCESS_INDEX\n${printC(btf)}${layoutAssertions(btf, ['warn_args'])}`, [
    '-g0',
    '-Werror',
  ]);
});
