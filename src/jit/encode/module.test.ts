import assert from 'node:assert/strict';
import { it } from 'node:test';
import { printWat } from '../../wat/index.ts';
import { ARENA_MEMORY, Code, KERNEL_MEMORY } from './code.ts';
import { type EncodedModule, ModuleBuilder, type Signature } from './module.ts';
import { ATOMIC_OP, MEMORY_OP, OP, TYPE } from './opcodes.ts';

/** Modules by hand: what the encoder writes, engines accept, and our printer reads back. */

const UNARY = { params: [TYPE.i64], results: [TYPE.i64] } as const satisfies Signature;
const PAGES = { initial: 65_536, maximum: 65_536, shared: true } as const;

function moduleOf(
  write: (code: Code) => void,
  imports: readonly (Signature & { readonly name: string })[] = [],
): EncodedModule {
  const builder = new ModuleBuilder(imports);
  const code = new Code(1);
  write(code);
  const index = builder.reserve();
  builder.define(index, 'f', UNARY, code, ['value']);
  builder.export('f', index);
  const module = builder.encode();
  assert.ok(WebAssembly.validate(module.bytes));
  return module;
}

function run({ bytes }: EncodedModule, functions: WebAssembly.ModuleImports = {}) {
  const arena = new WebAssembly.Memory(PAGES);
  const memory = new WebAssembly.Memory(PAGES);
  const userHigh = new WebAssembly.Global({ value: 'i64', mutable: false }, 0n);
  const kernel = { arena, memory, cpu: 3, userHigh, ...functions };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { kernel });
  return { f: exports.f as (value: bigint) => bigint, arena, memory };
}

it('a module imports two shared memories of 4 GiB and two constants, and calls what else it imports', () => {
  const twice = { name: 'twice', params: [TYPE.i32], results: [TYPE.i32] } as const;
  const module = moduleOf(
    (code) => {
      code.get(0);
      code.op(OP.i32_wrap_i64);
      code.call(0);
      code.op(OP.i64_extend_i32_u);
    },
    [twice],
  );
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(module.bytes));
  assert.deepEqual(
    imports.map(({ name, kind }) => `${kind} ${name}`),
    ['memory arena', 'memory memory', 'global cpu', 'global userHigh', 'function twice'],
  );
  assert.equal(run(module, { twice: (value: number) => 2 * value }).f(21n), 42n);
});

it('functions and locals have names', () => {
  const text = printWat(
    moduleOf((code) => {
      code.get(0);
    }).bytes,
  );
  assert.match(text, /\(func \$f \(type \d+\) \(param \$value i64\)/);
  assert.match(text, /local\.get \$value/);
});

it('an access goes to the memory and the offset that it names', () => {
  const { f, arena, memory } = run(
    moduleOf((code) => {
      code.i32(16);
      code.get(0);
      code.memory(MEMORY_OP.i64_store, ARENA_MEMORY, 8);
      code.i32(16);
      code.get(0);
      code.atomic(ATOMIC_OP.i64_atomic_store, KERNEL_MEMORY, 0x8000_0000, 3);
      code.i32(0);
      code.memory(MEMORY_OP.i64_load, ARENA_MEMORY, 24);
    }),
  );
  assert.equal(f(77n), 77n);
  assert.equal(new DataView(arena.buffer).getBigUint64(24, true), 77n);
  assert.equal(new DataView(memory.buffer).getBigUint64(0x8000_0010, true), 77n);
});

it('a branch leaves the structure that it names, however deep it stands', () => {
  const { f } = run(
    moduleOf((code) => {
      const result = code.local(TYPE.i64);
      const out = code.block();
      const again = code.loop();
      const inner = code.block();
      code.get(result);
      code.i64(1);
      code.op(OP.i64_add);
      code.tee(result);
      code.get(0);
      code.op(OP.i64_ge_u);
      code.brIf(out, false);
      code.br(inner);
      code.end();
      code.br(again);
      code.end();
      code.end();
      code.get(result);
    }),
  );
  assert.equal(f(10n), 10n);
});

it('blocks that are put around code at its end are left by their numbers, the innermost first', () => {
  const { f } = run(
    moduleOf((code) => {
      const leaveIf = (value: number, out: number) => {
        code.get(0);
        code.i64(value);
        code.op(OP.i64_eq);
        code.brIfOut(out);
      };
      leaveIf(5, 0);
      code.block();
      leaveIf(6, 1);
      code.end();
      code.i64(0);
      code.op(OP.return);
      code.enclose(
        [50, 60].map((value) => () => {
          code.i64(value);
          code.op(OP.return);
        }),
      );
      code.op(OP.unreachable);
    }),
  );
  assert.deepEqual([4n, 5n, 6n].map(f), [0n, 50n, 60n]);
});

it('a position is the byte at which an instruction of the program begins', () => {
  const { bytes, positions } = moduleOf((code) => {
    code.local(TYPE.i64);
    code.position(7);
    code.i64(5);
    code.position(9);
    code.op(OP.return);
    code.enclose([() => code.op(OP.unreachable)]);
    code.op(OP.unreachable);
  });
  assert.deepEqual([...positions.insns], [7, 9]);
  assert.deepEqual(
    [...positions.offsets].map((offset) => bytes[offset]),
    [OP.i64_const, OP.return],
  );
});

it('a branch hint stands at its branch', () => {
  const module = moduleOf((code) => {
    code.local(TYPE.i32);
    const block = code.block();
    code.i32(0);
    code.brIf(block);
    code.i32(0);
    code.brIf(block, false);
    code.i32(0);
    code.if(TYPE.empty, true);
    code.end();
    code.end();
    code.i64(0);
  });
  const hinted = printWat(module.bytes).match(/branch_hint.*/g);
  assert.deepEqual(hinted, ['branch_hint "\\00") br_if $block0', 'branch_hint "\\01") if $if1']);
});

it('functions of one shape share a type', () => {
  const builder = new ModuleBuilder([]);
  assert.equal(builder.type(UNARY), builder.type({ params: [TYPE.i64], results: [TYPE.i64] }));
  assert.notEqual(builder.type(UNARY), builder.type({ params: [TYPE.i64], results: [] }));
});

it('a function that was set aside must get a body', () => {
  const builder = new ModuleBuilder([]);
  builder.reserve();
  assert.throws(() => builder.encode(), /function 0 has no body/);
});
