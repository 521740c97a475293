import { access, atomic, type Kind, memory, NUMBERS, type Writer } from './writer.ts';

/** The arena: accesses, arithmetic on its pointers, casts, its kfuncs. */

const KFUNCS = {
  bpf_arena_alloc_pages: 'void __arena * (void *map, void __arena *addr, u32 pages, s32 node, u64 flags)',
  bpf_arena_free_pages: 'void (void *map, void __arena *addr, u32 pages)',
  bpf_arena_reserve_pages: 's32 (void *map, void __arena *addr, u32 pages)',
} as const;

export function callKfunc(w: Writer, name: keyof typeof KFUNCS): void {
  w.declare(`.extern kfunc ${name} : ${KFUNCS[name]}`);
  w.rule(name);
  w.say(`call ${name}`);
  w.called();
}

function plain(w: Writer): void {
  const { random } = w;
  access(w, 'arena', 'r9', random.below(80) - 16, random.pick([1, 2, 4, 8]));
}

function arithmetic(w: Writer): void {
  const { random } = w;
  const wide = random.chance(80) ? 'r' : 'w';
  const op = random.pick(['+=', '-=', '&=', '*=', '<<=', '^=']);
  w.rule(`arena pointer ${op}`);
  w.say(
    `${wide}9 ${op} ${op === '<<=' ? random.below(8) : random.chance(50) ? `${wide}${w.number()}` : random.pick(NUMBERS)}`,
  );
}

export function cast(w: Writer): void {
  const { random } = w;
  const n = w.number();
  w.rule('cast_kern');
  const source = random.pick([n, n, 9, 10, ...(w.has.has('value') ? [8] : [])]);
  w.say(`r9 = addr_space_cast(r${source}, 0, 1)`);
}

function castUser(w: Writer): void {
  const n = w.number();
  w.rule('cast_user');
  w.say(`r${n} = addr_space_cast(r9, 1, 0)`);
  if (w.mistake(8)) w.say(`*(u64 *)(r${n} + 0) = 1`);
}

/** Any value may be stored there. */
export function storePointer(w: Writer): void {
  const reg = w.random.pick([9, 10, ...(w.has.has('value') ? [8] : []), ...(w.has.has('ctx') ? [6] : [])]);
  w.rule('arena: store of a pointer');
  w.say(`${memory('r9', w.random.below(64), 8)} = r${reg}`);
}

/** What is loaded is an address again once it is cast. */
function follow(w: Writer): void {
  w.rule('arena: pointer followed');
  const skip = w.label();
  w.say(`r1 = ${memory('r9', 8 * w.random.below(4), 8)}`, `if r1 == 0 goto ${skip}`);
  w.forget(1);
  if (!w.mistake(6)) w.say('r1 = addr_space_cast(r1, 0, 1)');
  w.maybe(() => access(w, 'arena', 'r1', 0, 8));
  w.say(`${skip}:`);
}

function allocate(w: Writer): void {
  const { random } = w;
  w.say('r1 = arena ll', random.chance(70) ? 'r2 = 0' : `r2 = r${random.pick([9, w.number()])}`);
  w.say(`r3 = ${random.chance(80) ? random.pick([1, 2, 5]) : `r${w.number()}`}`);
  w.say(`r4 = ${w.mistake(4) ? 'r10' : '-1'}`, `r5 = ${random.pick([0, 0, 1])}`);
  callKfunc(w, 'bpf_arena_alloc_pages');
  if (random.chance(50)) w.say(`r9 = ${w.mistake(8) ? 'r0' : 'addr_space_cast(r0, 0, 1)'}`);
}

function free(w: Writer): void {
  const { random } = w;
  const name = random.chance(60) ? 'bpf_arena_free_pages' : 'bpf_arena_reserve_pages';
  w.say(`r1 = ${w.mistake(5) ? 'values' : 'arena'} ll`, `r2 = r${random.pick([9, 9, w.number()])}`);
  w.say(`r3 = ${random.pick(['1', '2', `r${w.number()}`])}`);
  if (w.mistake(4)) w.say('r1 = r10');
  callKfunc(w, name);
  if (name === 'bpf_arena_free_pages') w.numbers.delete(0);
  if (w.numbers.size === 0) w.numbers.add(7);
}

export const ARENA_KINDS: readonly Kind[] = (
  [
    { weight: 4, write: plain },
    { weight: 3, write: arithmetic },
    { weight: 2, write: cast },
    { weight: 2, write: castUser },
    { weight: 2, write: storePointer },
    { weight: 2, write: follow },
    { weight: 3, write: (w) => atomic(w, 'arena', 'r9', w.random.below(64)) },
    { weight: 2, sections: ['syscall'], write: allocate },
    { weight: 2, sections: ['syscall'], write: free },
  ] satisfies Kind[]
).map((kind) => ({ ...kind, needs: ['arena'] }));
