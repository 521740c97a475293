import type { Btf } from '../btf/index.ts';
import type { MapInfo } from './input.ts';
import type { RegKind } from './state/reg.ts';

/**
 * What exploration learns of each instruction, over all paths: which memory it reaches, through what, and what the JIT
 * may rely on. Facts of several paths are joined: what differs between them is given up.
 */

/** The memory that an access reaches. One instruction reaches one of them (Linux: check_type_changes). */
export type Memory = 'stack' | 'ctx' | 'arena' | 'kernel' | 'packet';

/**
 * `pointer`: four bytes of context stand for a pointer of eight into kernel memory, of which the context holds the low half. `u16`: a
 * store keeps the low 16 bits, and clears the rest of the field. `queue`: likewise, and nothing is stored from 0xffff on (Linux:
 * NO_QUEUE_MAPPING).
 */
export type ContextFieldFact = 'pointer' | 'u16' | 'queue';

export interface InsnFact {
  /** Of a load, store or atomic: the kind of pointer it goes through. */
  kind: RegKind | undefined;
  memory: Memory | undefined;
  /** Of a stack access: bytes from the frame pointer of {@link frame}, when the same on all paths; else undefined. */
  stackOffset: number | undefined;
  /** The frame it reaches, counted from the accessing function: 0 its own. −1 when it differs. */
  frameDistance: number;
  /** The map behind the pointer, or that a helper is given, when the same on all paths. */
  map: MapInfo | undefined;
  /** Of an access to the context: what is special about the field. */
  contextField: ContextFieldFact | undefined;
  /** The address is a multiple of this power of two on all paths; 1 where nothing is known. */
  alignment: number;
}

/** The type of an object that a program allocates, gives up, or puts into a list or tree (Linux: struct btf_struct_meta). */
export interface ObjectFact {
  readonly btf: Btf;
  readonly id: number;
  /** Bytes from the object's start to the node by which it is put in. */
  readonly nodeOff: number;
}

/** Linux: MAX_BPF_STACK. */
const MAX_BPF_STACK = 512;

export class Facts {
  readonly seen: Uint8Array;
  readonly insns: (InsnFact | undefined)[];
  /** Deepest stack use in bytes, per subprogram. */
  readonly stackDepth: number[];
  /** Of arithmetic: whether an operand was an arena pointer on some path (bit 0), and not on another (bit 1). */
  readonly #arithmetic: Uint8Array;

  constructor(slots: number, subprograms: number) {
    this.seen = new Uint8Array(slots);
    this.insns = new Array(slots);
    this.stackDepth = new Array(subprograms).fill(0);
    this.#arithmetic = new Uint8Array(slots);
  }

  /** Bytes of context that the program reaches (Linux: max_ctx_offset): a run needs as many. */
  contextBytes = 0;

  /** Loads through pointers to kernel objects: Linux makes them safe by probing, wherever the pointer leads. */
  readonly probes = new Set<number>();

  /** The number of the function that makes the program's result when an exception leaves it. */
  exceptionCallback: number | undefined;

  /** Of kfuncs on objects that programs allocate: which type, by the slot of the call. */
  readonly objects = new Map<number, ObjectFact>();

  /** @returns false when another path calls it with another type. */
  noteObject(insn: number, object: ObjectFact): boolean {
    const known = this.objects.get(insn);
    if (known !== undefined)
      return known.btf === object.btf && known.id === object.id && known.nodeOff === object.nodeOff;
    this.objects.set(insn, object);
    return true;
  }

  /** By subprogram: bytes of its frame, counted down from the frame pointer, see {@link stackEscapes}. */
  readonly #escapes: (Uint8Array | undefined)[] = [];

  /** Something other than a plain load or store at one known place reaches bytes `min` to `end` of a frame. */
  noteStackEscape(subprogram: number, min: number, end: number): void {
    this.#escapes[subprogram] ??= new Uint8Array(MAX_BPF_STACK);
    this.#escapes[subprogram].fill(1, Math.max(0, -end), Math.max(0, -min));
  }

  /** Whether something else than the function's own plain loads and stores reaches a byte of its frame. */
  stackEscapes(subprogram: number, offset: number): boolean {
    return this.#escapes[subprogram]?.[-1 - offset] === 1;
  }

  /** A helper is called with this map; see {@link InsnFact.map}. */
  noteCallMap(insn: number, map: MapInfo | undefined): void {
    if (map === undefined) return;
    const known = this.insns[insn];
    const fact = this.of(insn);
    fact.map = known === undefined || known.map === map ? map : undefined;
  }

  /** Functions that bpf_loop calls, by the slot of its call; −1 where paths differ in them or bring flags. */
  readonly #loops = new Map<number, number>();

  noteLoop(insn: number, subprogram: number, withoutFlags: boolean): void {
    const known = this.#loops.get(insn) ?? subprogram;
    this.#loops.set(insn, withoutFlags && known === subprogram ? subprogram : -1);
  }

  /**
   * The number of the function that a bpf_loop calls, where it is the same on all paths and the flags are 0: Linux writes a loop
   * in its place then, which gives -E2BIG as 32 bits (optimize_bpf_loop).
   */
  loopOf(insn: number): number | undefined {
    const known = this.#loops.get(insn);
    return known === -1 ? undefined : known;
  }

  noteContext(end: number): void {
    if (end > this.contextBytes) this.contextBytes = end;
  }

  /** Bytes that an iterator reaches of the key and of the value it is shown (Linux: max_rdonly_access, max_rdwr_access). */
  keyBytes = 0;
  valueBytes = 0;

  noteBuffer(readOnly: boolean, end: number): void {
    if (readOnly) this.keyBytes = Math.max(this.keyBytes, end);
    else this.valueBytes = Math.max(this.valueBytes, end);
  }

  noteArithmetic(insn: number, arena: boolean): void {
    this.#arithmetic[insn] |= arena ? 1 : 2;
  }

  /**
   * Whether 64-bit arithmetic computes with an arena pointer, on all paths: then only the low halves count, and the upper
   * half of the result is clear. (Linux asks whether on any, and clears a number that another path brings along.)
   */
  isArenaArithmetic(insn: number): boolean {
    return this.#arithmetic[insn] === 1;
  }

  /** Whether an access reaches the arena: one instruction reaches no other memory then. */
  reachesArena(insn: number): boolean {
    return this.insns[insn]?.memory === 'arena';
  }

  /** The record of an instruction, made when first asked for. */
  of(insn: number): InsnFact {
    let fact = this.insns[insn];
    if (fact === undefined) {
      fact = {
        kind: undefined,
        memory: undefined,
        stackOffset: undefined,
        frameDistance: 0,
        map: undefined,
        contextField: undefined,
        alignment: 1,
      };
      this.insns[insn] = fact;
    }
    return fact;
  }
}
