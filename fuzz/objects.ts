import type { GeneratedProgram } from './generate.ts';
import type { Random } from './random.ts';

/**
 * Random programs about what a program holds and the regions it opens: objects of its own and of the kernel's, kptrs in maps,
 * lists and trees, locks, RCU, preemption, interrupts; each scope gives back what it took, but for mistakes made on
 * purpose. Linux accepts about half.
 */

const DECLARATIONS = `.license "GPL"
.types "struct thing; struct elem; struct plain; struct bpf_spin_lock { unsigned int val; }; struct bpf_res_spin_lock { unsigned int val; }; struct bpf_list_head { unsigned long long o[2]; }; struct bpf_list_node { unsigned long long o[3]; }; struct bpf_rb_root { unsigned long long o[2]; }; struct bpf_rb_node { unsigned long long o[4]; }; struct bpf_refcount { unsigned int o[1]; }; struct task_struct { int pid; };"
.types "struct thing { long x; struct bpf_list_node l; struct bpf_refcount rc; struct bpf_rb_node r; long y; }; struct elem { long x; struct bpf_list_node l; struct bpf_spin_lock lock; int z; }; struct plain { long a; long b; };"
.types "struct locked { struct bpf_spin_lock lock; int x; long y; }; struct resilient { struct bpf_res_spin_lock lock; int x; }; struct heads { struct bpf_spin_lock lock; int x; struct bpf_list_head things __contains(thing, l); struct bpf_rb_root tree __contains(thing, r); struct bpf_list_head elems __contains(elem, l); };"
.types "struct kptrs { struct task_struct __kptr *task; struct thing __kptr *thing; struct task_struct __kptr_untrusted *seen; struct plain __percpu_kptr *percpu; long x; };"
.map locked, type=array, key=u32, value=struct locked, max_entries=2
.map resilient, type=array, key=u32, value=struct resilient, max_entries=2
.map heads, type=array, key=u32, value=struct heads, max_entries=2
.map kptrs, type=array, key=u32, value=struct kptrs, max_entries=2
`;

/** The ids of the types, in the order in which they are named first; offsets of their members in bytes. */
const TYPE_IDS = { thing: 1, elem: 2, plain: 3 } as const;
const THING = { x: 0, list: 8, tree: 40, y: 72 } as const;
const HEADS = { x: 4, things: 8, tree: 24, elems: 40 } as const;
const KPTRS = { task: 0, thing: 8, seen: 16, percpu: 24, x: 32 } as const;

type Kind = keyof typeof TYPE_IDS | 'task' | 'heads' | 'locked' | 'resilient' | 'kptrs' | 'percpu';

/** What is known at a place: registers that hold something, and those that are free. */
interface Scope {
  readonly free: readonly string[];
  readonly objects: readonly { readonly register: string; readonly kind: Kind }[];
  /** The register of the list heads whose lock is held; any lock forbids most calls. */
  readonly heads?: string;
  readonly locked?: boolean;
  readonly depth: number;
}

type Statement = (w: ObjectWriter, scope: Scope) => void;

const MAX_STATEMENTS = 26;
const MAX_DEPTH = 4;

class ObjectWriter {
  readonly lines: string[] = [];
  readonly rules = new Set<string>();
  readonly functions: string[] = [];
  readonly random: Random;
  statements = 0;
  #labels = 0;

  constructor(random: Random) {
    this.random = random;
  }

  say(...lines: string[]): void {
    this.lines.push(...lines);
  }

  label(): string {
    return `l${this.#labels++}`;
  }

  /** Whether something is done wrong here: once in so many times. */
  mistake(times: number): boolean {
    return this.random.below(times) === 0;
  }

  /** The register of an object of one of these kinds, or now and then of any. */
  holder(scope: Scope, ...kinds: readonly Kind[]): string {
    const fitting = scope.objects.filter(({ kind }) => kinds.includes(kind));
    const from = fitting.length > 0 && !this.mistake(40) ? fitting : scope.objects;
    return from.length === 0 ? 'r10' : this.random.pick(from).register;
  }

  /** Goes on behind the scope where r0 is NULL. @returns what ends the scope. */
  nullCheck(): () => void {
    if (this.mistake(80)) return () => undefined;
    const end = this.label();
    this.say(`if r0 == 0 goto ${end}`);
    return () => this.say(`${end}:`);
  }

  lookUp(map: string): () => void {
    this.say(`*(u32 *)(r10 - 4) = ${this.mistake(50) ? 5 : this.random.below(2)}`);
    this.say('r2 = r10', 'r2 += -4', `r1 = ${map} ll`, 'call 1');
    return this.nullCheck();
  }

  /** Keeps r0 in a register for the length of a scope. */
  keep(scope: Scope, kind: Kind, body: (inner: Scope, register: string) => void): void {
    const [register, ...free] = scope.free;
    this.say(`${register} = r0`);
    body(
      { ...scope, free, objects: [...scope.objects, { register, kind }], depth: scope.depth + 1 },
      register,
    );
  }

  some(scope: Scope): void {
    for (let i = this.random.below(3); i >= 0 && this.statements < MAX_STATEMENTS; i--) this.one(scope);
  }

  one(scope: Scope): void {
    this.statements++;
    const deep = scope.depth > MAX_DEPTH || scope.free.length === 0;
    const table = scope.locked && !this.mistake(30) ? UNDER_LOCK : deep ? SHALLOW : ALL;
    const name = this.random.pick(Object.keys(table));
    const needs = NEEDS[name];
    const there = needs === undefined || scope.objects.some(({ kind }) => needs.includes(kind));
    if (!there && !this.mistake(40)) return;
    this.rules.add(name);
    table[name](this, scope);
  }
}

/** Statements that make sense only where one of these is held. */
const NEEDS: Readonly<Record<string, readonly Kind[]>> = {
  'a field': ['thing', 'elem', 'plain', 'locked', 'heads'],
  'another reference': ['thing'],
  'a kptr is loaded': ['kptrs'],
  'a kptr is stored': ['kptrs'],
};

/** Gives an object of the program's to a list or tree under the lock, or back. */
function giveAway(w: ObjectWriter, scope: Scope, register: string, kind: Kind): void {
  const { heads } = scope;
  if (heads === undefined || kind === 'plain') {
    w.say(`r1 = ${register}`, 'r2 = 0', 'call bpf_obj_drop_impl');
    return;
  }
  const list = kind === 'elem' ? HEADS.elems : HEADS.things;
  w.say(`r1 = ${heads}`, `r2 = ${register}`);
  if (kind === 'thing' && w.random.chance(50)) {
    w.say(`r1 += ${HEADS.tree}`, `r2 += ${THING.tree}`, 'r3 = less ll', 'r4 = 0', 'r5 = 0');
    w.say('call bpf_rbtree_add_impl');
  } else {
    w.say(`r1 += ${list}`, `r2 += ${THING.list}`, 'r3 = 0', 'r4 = 0');
    w.say(`call bpf_list_push_${w.random.pick(['front', 'back'])}_impl`);
  }
  if (w.random.chance(50)) w.say(`r0 = *(u64 *)(${register} + 0)`);
}

const SHALLOW: Readonly<Record<string, Statement>> = {
  'a helper': (w) => w.say(w.random.pick(['call 5', 'call 7', 'call 8'])),
  'a branch': (w, scope) => {
    const end = w.label();
    w.say('call 7', `if r0 > 5 goto ${end}`);
    w.some({ ...scope, depth: scope.depth + 1 });
    w.say(`${end}:`);
  },
  'a field': (w, scope) => {
    const register = w.holder(scope, 'thing', 'elem', 'plain', 'locked', 'heads');
    const locked = scope.objects.some((each) => each.register === register && /ed$|s$/.test(each.kind));
    const off = w.mistake(12) ? w.random.pick([8, 32, 36, 40, 72, 80, 4]) : locked ? HEADS.x : THING.x;
    const size = locked ? 'u32' : w.random.pick(['u64', 'u64', 'u32', 'u8']);
    w.say(
      w.random.chance(50)
        ? `r0 = *(${size} *)(${register} + ${off})`
        : `*(${size} *)(${register} + ${off}) = 1`,
    );
  },
  'another reference': (w, scope) => {
    const register = w.holder(scope, 'thing');
    w.say(`r1 = ${register}`, 'r2 = 0', 'call bpf_refcount_acquire_impl');
    if (!w.mistake(20)) w.say('r1 = r0', 'r2 = 0', 'call bpf_obj_drop_impl');
  },
  'a kptr is loaded': (w, scope) => {
    w.say(`r1 = *(u64 *)(${w.holder(scope, 'kptrs')} + ${w.random.pick([0, 8, 16, 24])})`);
    const end = w.label();
    w.say(`if r1 == 0 goto ${end}`);
    w.say(w.random.pick(['r0 = *(u64 *)(r1 + 0)', 'r0 = *(u32 *)(r1 + 8)', 'call 154']));
    w.say(`${end}:`);
  },
  'a kptr is stored': (w, scope) => {
    const off = w.mistake(10) ? w.random.pick(Object.values(KPTRS)) : KPTRS.seen;
    if (w.random.chance(50)) w.say(`*(u64 *)(${w.holder(scope, 'kptrs')} + ${off}) = 0`);
    else w.say(`r1 = ${w.holder(scope, 'task')}`, `*(u64 *)(${w.holder(scope, 'kptrs')} + ${off}) = r1`);
  },
  'a subprogram': (w, scope) => {
    const bodies = [
      'call bpf_rcu_read_unlock',
      'call bpf_preempt_disable',
      'call 94',
      'r0 = *(u64 *)(r1 + 0)',
    ];
    w.functions.push(w.mistake(6) ? w.random.pick(bodies) : 'call 7');
    w.say(`r1 = ${w.holder(scope)}`, `call g${w.functions.length - 1}`);
  },
};

const SCOPES: Readonly<Record<string, Statement>> = {
  'an object': (w, scope) => {
    const kind = w.random.pick(['thing', 'thing', 'elem', 'plain'] as const);
    w.say(`r1 = ${TYPE_IDS[kind]}`, 'r2 = 0', 'call bpf_obj_new_impl');
    const end = w.nullCheck();
    w.keep(scope, kind, (inner, register) => {
      w.some(inner);
      if (!w.mistake(30)) giveAway(w, inner, register, kind);
    });
    end();
  },
  'an object for each CPU': (w, scope) => {
    w.say(`r1 = ${TYPE_IDS.plain}`, 'r2 = 0', 'call bpf_percpu_obj_new_impl');
    const end = w.nullCheck();
    w.keep(scope, 'percpu', (inner, register) => {
      w.some(inner);
      if (!w.mistake(30)) w.say(`r1 = ${register}`, 'r2 = 0', 'call bpf_percpu_obj_drop_impl');
    });
    end();
  },
  'a task': (w, scope) => {
    w.say('r1 = 1', 'call bpf_task_from_pid');
    const end = w.nullCheck();
    w.keep(scope, 'task', (inner, register) => {
      w.some(inner);
      const owner = inner.objects.find(({ kind }) => kind === 'kptrs');
      if (owner !== undefined && w.random.chance(40)) {
        w.say(`r1 = ${owner.register}`, `r2 = ${register}`, 'call 194');
        const gone = w.nullCheck();
        w.say('r1 = r0', 'call bpf_task_release');
        gone();
      } else if (!w.mistake(30)) w.say(`r1 = ${register}`, 'call bpf_task_release');
    });
    end();
  },
  'a map of kptrs': (w, scope) => {
    const end = w.lookUp('kptrs');
    w.keep(scope, 'kptrs', (inner) => w.some(inner));
    end();
  },
  'a lock': (w, scope) => {
    const kind = w.random.pick(['heads', 'heads', 'locked'] as const);
    const end = w.lookUp(kind);
    w.keep(scope, kind, (inner, register) => {
      if (!w.mistake(40)) w.say(`r1 = ${register}`, 'call 93');
      w.some({ ...inner, locked: true, ...(kind === 'heads' && { heads: register }) });
      if (!w.mistake(40)) w.say(`r1 = ${register}`, 'call 94');
    });
    end();
  },
  'a resilient lock': (w, scope) => {
    const end = w.lookUp('resilient');
    w.keep(scope, 'resilient', (inner, register) => {
      const failed = w.label();
      w.say(`r1 = ${register}`, 'call bpf_res_spin_lock');
      if (!w.mistake(30)) w.say(`if r0 != 0 goto ${failed}`);
      w.some({ ...inner, locked: true });
      if (!w.mistake(30)) w.say(`r1 = ${register}`, 'call bpf_res_spin_unlock');
      w.say(`${failed}:`);
    });
    end();
  },
  RCU: (w, scope) => region(w, scope, ['call bpf_rcu_read_lock'], ['call bpf_rcu_read_unlock']),
  'no preemption': (w, scope) => region(w, scope, ['call bpf_preempt_disable'], ['call bpf_preempt_enable']),
  'no interrupts': (w, scope) => {
    const flags = ['r1 = r10', `r1 += -${w.random.pick([16, 24, 32])}`];
    region(w, scope, [...flags, 'call bpf_local_irq_save'], [...flags, 'call bpf_local_irq_restore']);
  },
  'a loop': (w, scope) => {
    const [register, ...free] = scope.free;
    const again = w.label();
    w.say(`${register} = 0`, `${again}:`);
    w.some({ ...scope, free, depth: scope.depth + 2 });
    w.say(`${register} += 1`, `if ${register} < ${1 + w.random.below(4)} goto ${again}`);
  },
  'a loop over numbers': (w, scope) => {
    const iterator = ['r1 = r10', `r1 += -${w.random.pick([40, 48, 56])}`];
    const [next, done] = [w.label(), w.label()];
    w.say(...iterator, 'r2 = 0', 'r3 = 5', 'call bpf_iter_num_new', `${next}:`);
    w.say(...iterator, 'call bpf_iter_num_next', `if r0 == 0 goto ${done}`);
    w.some({ ...scope, depth: scope.depth + 2 });
    w.say(`goto ${next}`, `${done}:`, ...iterator, 'call bpf_iter_num_destroy');
  },
};

function region(w: ObjectWriter, scope: Scope, opens: readonly string[], closes: readonly string[]): void {
  if (!w.mistake(60)) w.say(...opens);
  w.some({ ...scope, depth: scope.depth + 1 });
  if (!w.mistake(60)) w.say(...closes);
}

const ALL: Readonly<Record<string, Statement>> = { ...SHALLOW, ...SCOPES };

const LOOKS = ['bpf_list_front', 'bpf_list_back', 'bpf_rbtree_first', 'bpf_rbtree_root'] as const;
const POPS = ['bpf_list_pop_front', 'bpf_list_pop_back'] as const;

/** What may be done while a lock is held. */
const UNDER_LOCK: Readonly<Record<string, Statement>> = {
  'a field': SHALLOW['a field'],
  'a node is looked at': (w, { heads }) => {
    if (heads === undefined) return;
    const call = w.random.pick(LOOKS);
    const tree = call.includes('rbtree');
    w.say(`r1 = ${heads}`, `r1 += ${tree ? HEADS.tree : HEADS.things}`, `call ${call}`);
    const end = w.nullCheck();
    const back = tree ? THING.tree : THING.list;
    w.say(`r0 = *(u64 *)(r0 ${w.mistake(8) ? '+' : '-'} ${back})`);
    end();
  },
  'a node is popped': (w, scope) => {
    if (scope.heads === undefined || scope.free.length === 0) return;
    w.say(`r1 = ${scope.heads}`, `r1 += ${HEADS.things}`, `call ${w.random.pick(POPS)}`);
    const end = w.nullCheck();
    w.keep(scope, 'thing', (inner, register) => {
      w.say(`${register} += -${THING.list}`);
      if (!w.mistake(20)) giveAway(w, inner, register, 'thing');
    });
    end();
  },
  'a node is removed': (w, scope) => {
    if (scope.heads === undefined || scope.free.length === 0) return;
    const root = [`r1 = ${scope.heads}`, `r1 += ${HEADS.tree}`];
    w.say(...root, 'call bpf_rbtree_first');
    const none = w.nullCheck();
    w.say(...root, 'r2 = r0', 'call bpf_rbtree_remove');
    const gone = w.nullCheck();
    w.keep(scope, 'thing', (inner, register) => {
      w.say(`${register} += -${THING.tree}`);
      if (!w.mistake(20)) giveAway(w, inner, register, 'thing');
    });
    gone();
    none();
  },
};

const SECTIONS = ['syscall', 'syscall', 'tc', 'tc', 'xdp', 'cgroup_skb/egress'] as const;

export function generateObjects(random: Random): GeneratedProgram {
  const w = new ObjectWriter(random);
  const section = random.pick(SECTIONS);
  w.some({ free: ['r6', 'r7', 'r8', 'r9'], objects: [], depth: 0 });
  w.say('r0 = 0', 'exit');
  const text = w.lines.join('\n');
  const less = text.includes('less ll') ? ['.func static less : bool (void *a, void *b)\nr0 = 0\nexit'] : [];
  const functions = w.functions.map((body, i) => `.func static g${i} : s32 (void *p)\n${body}\nr0 = 0\nexit`);
  const called = `${text}\n${functions.join('\n')}`.matchAll(/call (bpf_\w+)/g);
  const externs = [...new Set([...called].map(([, name]) => `.extern kfunc ${name}`))];
  const rest = less.length + functions.length > 0 ? ['.section .text', ...less, ...functions] : [];
  const body = [`.section ${section}`, '.func f : s32 (void *ctx)', text, ...rest];
  return { text: `${DECLARATIONS}${[...externs, ...body].join('\n')}\n`, rules: w.rules, flags: 0 };
}
