import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BtfBuilder } from '../btf/index.ts';
import { writeElf } from '../elf/index.ts';
import type { KconfigValue } from './externs.ts';
import { parseObject } from './object.ts';
import { assembleObject } from './write.ts';

type Values = Readonly<Record<string, KconfigValue>>;

/** The bytes of `.kconfig` for declarations (`CONFIG_A : u32`, weak ones with `weak` before) on a kernel. */
function kconfig(declarations: readonly string[], values: Values) {
  const text = declarations.map((each) => {
    const weak = each.startsWith('weak ');
    return `.extern ${weak ? 'weak ' : ''}kconfig ${weak ? each.slice(5) : each}`;
  });
  const object = parseObject(assembleObject(text.join('\n')), 'object');
  return object.kconfig({ btf: undefined, kconfig: (name) => values[name] });
}

const text = (value: string): KconfigValue => ({ string: value });
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Declared type, the kernel's value, and the bytes that programs read. */
const KCONFIG: readonly (readonly [string, KconfigValue, Uint8Array])[] = [
  ['bool', 'y', bytes(1)],
  ['bool', 'n', bytes(0)],
  ['char', 'y', bytes(0x79)],
  ['char', 'm', bytes(0x6d)],
  ['char', 'n', bytes(0x6e)],
  ['enum libbpf_tristate', 'n', bytes(0, 0, 0, 0)],
  ['enum libbpf_tristate', 'y', bytes(1, 0, 0, 0)],
  ['enum libbpf_tristate', 'm', bytes(2, 0, 0, 0)],
  ['bool', 1n, bytes(1)],
  ['bool', 0n, bytes(0)],
  ['u32', 1000n, bytes(0xe8, 3, 0, 0)],
  ['s32', -1n, bytes(0xff, 0xff, 0xff, 0xff)],
  ['u8', 255n, bytes(255)],
  ['s8', -128n, bytes(0x80)],
  ['u16', 0x1234n, bytes(0x34, 0x12)],
  ['u64', 0xffff_ffff_ffff_ffffn, new Uint8Array(8).fill(255)],
  ['char[4]', text('abc'), bytes(0x61, 0x62, 0x63, 0)],
  ['char[4]', text('abcdef'), bytes(0x61, 0x62, 0x63, 0)],
  ['char[4]', text(''), bytes(0, 0, 0, 0)],
];

const show = (value: KconfigValue) => (typeof value === 'object' ? `"${value.string}"` : value);

for (const [type, value, expected] of KCONFIG) {
  test(`kconfig ${type} of ${show(value)} is ${expected}`, () => {
    assert.deepEqual(kconfig([`CONFIG_A : ${type}`], { CONFIG_A: value })?.contents, expected);
  });
}

/** Values that do not fit the declared type. */
const UNFIT: readonly (readonly [string, KconfigValue, RegExp])[] = [
  ['bool', 'm', /value 'm' implies tristate or char type/],
  ['bool', 2n, /value 2 isn't boolean compatible/],
  ['enum libbpf_tristate', 1n, /value 1 implies integer type/],
  ['u8', 256n, /value 256 does not fit 1 bytes/],
  ['u8', -1n, /value -1 does not fit 1 bytes/],
  ['s8', 128n, /value 128 does not fit 1 bytes/],
  ['u32', 1n << 32n, /does not fit 4 bytes/],
  ['char[4]', 'y', /value 'y' implies bool, tristate or char type/],
  ['char[4]', 1n, /value 1 implies integer type/],
  ['u32', text('abc'), /a string implies char array type/],
  ['char', text('abc'), /a string implies char array type/],
  ['u32', 'y', /value 'y' implies bool, tristate or char type/],
  ['u64', 'm', /value 'm' implies tristate or char type/],
];

for (const [type, value, message] of UNFIT) {
  test(`refused: kconfig ${type} of ${show(value)}`, () => {
    assert.throws(() => kconfig([`CONFIG_A : ${type}`], { CONFIG_A: value }), { code: 'EINVAL', message });
  });
}

for (const type of ['u32[2]', 'char[0]', 'enum other', 'bool[2]', 'u32 *']) {
  test(`refused: kconfig ${type}`, () => {
    assert.throws(() => kconfig([`CONFIG_A : ${type}`], {}), {
      code: 'EOPNOTSUPP',
      message: /extern \(kcfg\) 'CONFIG_A': its type, \w+, is not supported; declare it as bool, char/,
    });
  });
}

test('refused: kconfig values that claim more than a MiB', () => {
  assert.throws(() => kconfig(['weak CONFIG_A : char[1048577]'], {}), {
    code: 'E2BIG',
    message: "extern (kcfg) 'CONFIG_A': 1048577 bytes are more than a value has",
  });
});

test('a kconfig value that the kernel lacks is 0 when weak, else an error that says so', () => {
  assert.deepEqual(kconfig(['weak CONFIG_A : u32'], {})?.contents, new Uint8Array(4));
  assert.throws(() => kconfig(['CONFIG_A : u32'], {}), {
    code: 'EINVAL',
    message: "extern (kcfg) 'CONFIG_A': not found; declare it __weak if it may be absent",
  });
});

test("values lie in libbpf's order: largest alignment, then smallest size, then name", () => {
  const section = kconfig(
    ['CONFIG_D : u8', 'CONFIG_C : u32', 'CONFIG_E : char[3]', 'CONFIG_B : u32', 'CONFIG_A : u64'],
    {
      CONFIG_A: 1n,
      CONFIG_B: 2n,
      CONFIG_C: 3n,
      CONFIG_D: 4n,
      CONFIG_E: text('abc'),
    } as never,
  );
  assert.deepEqual(
    section?.variables.map(({ name, offset }) => `${name} ${offset}`),
    ['CONFIG_A 0', 'CONFIG_B 8', 'CONFIG_C 12', 'CONFIG_D 16', 'CONFIG_E 17'],
  );
});

test('an object without kconfig externs has no such section', () => {
  assert.equal(kconfig([], {}), undefined);
});

test('kfuncs and kernel variables are told apart, and weak from strong', () => {
  const { externs } = parseObject(
    assembleObject(`
.extern kfunc strong_func : void (u32)
.extern weak kfunc weak_func
.extern ksym strong_variable : u64
.extern weak ksym weak_variable`),
  );
  assert.deepEqual(
    externs.map(({ kind, name, weak }) => [kind, name, weak]),
    [
      ['kfunc', 'strong_func', false],
      ['kfunc', 'weak_func', true],
      ['ksym', 'strong_variable', false],
      ['ksym', 'weak_variable', true],
    ],
  );
});

test('a reference to an extern names it: a call, an address, a value', () => {
  const object = parseObject(
    assembleObject(`
.extern kfunc f : void ()
.extern ksym v : u64
.extern kconfig CONFIG_A : u32
.section xdp
.func main
call f
r1 = f ll
r1 = v ll
r1 = CONFIG_A ll
exit`),
  );
  assert.deepEqual(
    [...object.code[0].references.values()].map((each) => each.kind === 'extern' && each.extern.name),
    ['f', 'f', 'v', 'CONFIG_A'],
  );
});

test('refused: an undefined symbol that no type information declares', () => {
  const types = new BtfBuilder();
  types.int('int', 4);
  const file = writeElf({
    sections: [{ name: '.BTF', data: types.write() }],
    symbols: [{ name: 'nowhere', section: 'undefined' }],
  });
  assert.throws(() => parseObject(file), {
    code: 'EINVAL',
    message:
      /extern 'nowhere': no section \.ksyms or \.kconfig declares it; declare it with __ksym or __kconfig/,
  });
});

test('refused: an undefined symbol without any type information', () => {
  const file = writeElf({ sections: [], symbols: [{ name: 'nowhere', section: 'undefined' }] });
  assert.throws(() => parseObject(file, 'bare'), {
    code: 'EINVAL',
    message: "bare: extern 'nowhere' needs type information; compile with -g",
  });
});

test('refused: a call of a variable, and of a function of another object', () => {
  const call = (kind: string) => () =>
    parseObject(assembleObject(`.extern ${kind} x\n.section xdp\n.func main\ncall x\nexit`));
  assert.throws(call('ksym'), { message: /call of 'x', which is no function of this object and no kfunc/ });
  assert.throws(call('func'), { message: /extern 'x': no section \.ksyms/ });
});
