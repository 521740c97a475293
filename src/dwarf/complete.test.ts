import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileBpf, noClang } from '../../test/clang.ts';
import { mutate } from '../../test/mutate.ts';
import { Btf, type BtfComposite, printTypeC } from '../btf/index.ts';
import { readElf } from '../elf/index.ts';
import { FormatError } from '../errors.ts';
import { completeTypes, type DwarfSections } from './index.ts';

const SOURCE = `
#define __arena __attribute__((address_space(1)))
struct link { struct link __arena *next; struct link __arena * __arena *before; };
union word { unsigned int whole; unsigned char part[4]; };
enum color { RED, GREEN = 7, BLUE = -1 };
struct elem {
	struct link link;
	unsigned long long value;
	char name[8];
	enum color color;
	const volatile short grid[2][3];
	unsigned kind : 4, flag : 2;
	union word word;
	_Bool on;
	void (*call)(int);
};
struct head { struct link __arena *first; };
struct head __arena *list_head;
int seen;
__attribute__((section("syscall"), used)) int f(void *ctx)
{
	struct elem __arena *e = (void __arena *)list_head->first;

	seen = e->flag + e->color;
	return e->value;
}
`;

function open(flags: string[] = []): { btf: Btf; sections: DwarfSections } {
  const { sections } = readElf(compileBpf(SOURCE, flags));
  const bytes = (name: string) => sections.find((section) => section.name === name)?.data ?? new Uint8Array();
  return {
    btf: Btf.read(bytes('.BTF')),
    sections: {
      info: bytes('.debug_info'),
      abbrev: bytes('.debug_abbrev'),
      str: bytes('.debug_str'),
      lineStr: bytes('.debug_line_str'),
      strOffsets: bytes('.debug_str_offsets'),
    },
  };
}

/** Members as `name@bit offset:bits`. */
function layout(btf: Btf, name: string): string[] {
  const type = btf.type(btf.idOf(name, 'struct') ?? 0) as BtfComposite;
  return type.members.map(
    ({ name: member, bitOffset, bitfieldSize }) => `${member}@${bitOffset}:${bitfieldSize}`,
  );
}

describe('types that clang leaves out of BTF', { skip: noClang }, () => {
  for (const flags of [['-gdwarf-5'], ['-gdwarf-4']]) {
    it(`come from the debug information (${flags})`, () => {
      const { btf, sections } = open(flags);
      assert.equal(btf.idOf('elem', 'struct'), undefined, 'clang changed: BTF has the type');
      assert.equal(btf.kindOf(btf.idOf('link') ?? 0), 'fwd', 'clang changed: BTF has the type');
      const types = completeTypes(btf, sections);
      assert.deepEqual(layout(types, 'link'), ['next@0:0', 'before@64:0']);
      assert.deepEqual(layout(types, 'elem'), [
        'link@0:0',
        'value@128:0',
        'name@192:0',
        'color@256:0',
        'grid@288:0',
        'kind@384:4',
        'flag@388:2',
        'word@416:0',
        'on@448:0',
        'call@512:0',
      ]);
      assert.equal(types.sizeOf(types.idOf('elem', 'struct') ?? 0), 72);
      const text = printTypeC(types, types.idOf('elem', 'struct') ?? 0);
      assert.match(text, /struct elem/);
    });
  }

  it('take the place of the declaration, so that pointers to it lead to the type', () => {
    const { btf, sections } = open();
    const declared = btf.idOf('link') ?? 0;
    const types = completeTypes(btf, sections);
    assert.equal(types.kindOf(declared), 'struct');
    for (let id = 1; id < btf.count; id++)
      if (id !== declared) assert.equal(types.kindOf(id), btf.kindOf(id));
  });

  it('keep enumerators, arrays of arrays, and what C calls them', () => {
    const { btf, sections } = open();
    const types = completeTypes(btf, sections);
    const color = types.type(types.idOf('color', 'enum') ?? 0);
    assert.deepEqual(color.kind === 'enum' && color.values.map(({ name, value }) => [name, value]), [
      ['RED', 0],
      ['GREEN', 7],
      ['BLUE', -1],
    ]);
    assert.equal(types.sizeOf(types.idOf('word', 'union') ?? 0), 4);
  });

  it('are left alone when the debug information is damaged: FormatError, nothing else, and no hang', () => {
    const seed = 20261122;
    console.log(`seed ${seed}`);
    const { btf, sections } = open();
    for (let round = 0; round < 2_000; round++) {
      const part = (['info', 'abbrev', 'strOffsets'] as const)[round % 3];
      const damaged = { ...sections, [part]: mutate(sections[part] ?? new Uint8Array(), seed + round) };
      try {
        completeTypes(btf, damaged);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }
  });
});
