import type { Btf } from '../btf/index.ts';
import { BpfError } from '../errors.ts';

/**
 * What a program says of itself for tests: the `comment:test_…` BTF decl tags that the kernel's selftests write with
 * `__success`, `__failure`, `__msg`, `__retval` and their like (tools/testing/selftests/bpf/progs/bpf_misc.h), read as
 * their test_loader.c reads them.
 */

/** A message that must be found in the log behind the one before, or must not stand between two. */
export interface ExpectedMessage {
  readonly text: string;
  readonly pattern: RegExp;
  readonly negative: boolean;
}

export interface Annotations {
  /** What the verifier must say to a privileged user; undefined without tags about that. */
  readonly expected: 'success' | 'failure' | undefined;
  /** In the order in which they must be found. */
  readonly messages: readonly ExpectedMessage[];
  /** r0 of a run, as a signed 32-bit integer; undefined when it is not to be run. */
  readonly retval: number | undefined;
  readonly logLevel: number;
  /** For BPF_PROG_LOAD. */
  readonly flags: number;
  /** Not a test of its own; loaded with those that are. */
  readonly auxiliary: boolean;
  /** The machines it is for; empty for all. */
  readonly architectures: readonly string[];
  readonly description: string | undefined;
  /** Tags about what is not looked at here: unprivileged forms, translated and compiled code, output streams. */
  readonly notCovered: readonly string[];
}

const FLAGS: Readonly<Record<string, number>> = {
  BPF_F_STRICT_ALIGNMENT: 1 << 0,
  BPF_F_ANY_ALIGNMENT: 1 << 1,
  BPF_F_TEST_RND_HI32: 1 << 2,
  BPF_F_TEST_STATE_FREQ: 1 << 3,
  BPF_F_SLEEPABLE: 1 << 4,
  BPF_F_XDP_HAS_FRAGS: 1 << 5,
  BPF_F_TEST_REG_INVARIANTS: 1 << 7,
};

/** Names that stand for return values. */
const RETVALS: Readonly<Record<string, number>> = {
  INT_MIN: -(2 ** 31),
  POINTER_VALUE: 0xbadcafe,
  TEST_DATA_LEN: 64,
};

const PREFIX = 'comment:';

/** The annotations of a function, or undefined when it has none. Throws EINVAL for one that makes no sense. */
export function annotationsOf(btf: Btf, functionName: string): Annotations | undefined {
  const id = btf.idOf(functionName, 'func');
  const tags = id === undefined ? [] : btf.declTags(id);
  const known = tags.filter(
    (tag) => tag.startsWith(`${PREFIX}test_`) || tag.startsWith(`${PREFIX}load_mode`),
  );
  if (known.length === 0) return undefined;
  const reading = new Reading(functionName);
  for (const tag of known) reading.take(tag.slice(PREFIX.length));
  return reading.result();
}

class Reading {
  readonly #function: string;
  readonly #messages: (ExpectedMessage & { order: number })[] = [];
  readonly #notCovered = new Set<string>();
  readonly #architectures: string[] = [];
  #expected: Annotations['expected'];
  #retval: number | undefined;
  #logLevel = 0;
  #flags = 0;
  #auxiliary = false;
  #description: string | undefined;

  constructor(functionName: string) {
    this.#function = functionName;
  }

  take(tag: string): void {
    const equals = tag.indexOf('=');
    const key = equals < 0 ? tag : tag.slice(0, equals);
    const value = equals < 0 ? '' : tag.slice(equals + 1);
    switch (key) {
      case 'test_expect_success':
        this.#expected = 'success';
        break;
      case 'test_expect_failure':
        this.#expected = 'failure';
        break;
      case 'test_expect_msg':
      case 'test_expect_not_msg':
        this.#message(value, key === 'test_expect_not_msg');
        break;
      case 'test_retval':
        this.#retval = this.#number(value, RETVALS) | 0;
        break;
      case 'test_log_level':
        this.#logLevel = this.#number(value, {});
        break;
      case 'test_prog_flags':
        for (const flag of value.split('|')) this.#flags |= this.#number(flag.trim(), FLAGS);
        break;
      case 'test_auxiliary':
        this.#auxiliary = true;
        break;
      case 'test_arch':
        this.#architectures.push(value);
        break;
      case 'test_description':
        this.#description = value;
        break;
      default:
        this.#notCovered.add(key.replace(/^test_(expect_)?/, ''));
    }
  }

  result(): Annotations {
    this.#messages.sort((a, b) => a.order - b.order);
    return {
      expected: this.#expected,
      messages: this.#messages,
      retval: this.#retval,
      logLevel: this.#logLevel,
      flags: this.#flags,
      auxiliary: this.#auxiliary,
      architectures: this.#architectures,
      description: this.#description,
      notCovered: [...this.#notCovered],
    };
  }

  /** `12=text`: the number is the compiler's counter, for BTF keeps no order. `{{…}}` in the text is a pattern. */
  #message(value: string, negative: boolean): void {
    const [, order, text] = /^(?:(\d+)=)?([\s\S]*)$/.exec(value) ?? [];
    const literal = (part: string) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const parts = text.split(/\{\{([\s\S]*?)\}\}/);
    const source = parts.map((part, index) => (index % 2 === 0 ? literal(part) : part)).join('');
    try {
      const pattern = new RegExp(source);
      this.#messages.push({ text, pattern, negative, order: Number(order ?? this.#messages.length) });
    } catch (cause) {
      throw new BpfError('EINVAL', `${this.#function}: '${text}' holds no pattern that can be read`, {
        cause,
      });
    }
  }

  #number(text: string, names: Readonly<Record<string, number>>): number {
    const known = names[text];
    const number = known ?? Number(text.replace(/[()]/g, ''));
    if (Number.isFinite(number) && text !== '') return number;
    throw new BpfError('EINVAL', `${this.#function}: '${text}' in a test tag is not a number that is known`);
  }
}

/**
 * Looks for the expected messages in a log, in their order.
 * @returns what is wrong, or undefined.
 */
export function missingMessage(log: string, messages: readonly ExpectedMessage[]): string | undefined {
  let from = 0;
  let forbidden: ExpectedMessage[] = [];
  for (const message of messages) {
    if (message.negative) {
      forbidden.push(message);
      continue;
    }
    const found = message.pattern.exec(log.slice(from));
    if (found === null) return `the log lacks '${message.text}'`;
    const between = log.slice(from, from + found.index);
    const hit = forbidden.find(({ pattern }) => pattern.test(between));
    if (hit !== undefined) return `the log has '${hit.text}' before '${message.text}'`;
    forbidden = [];
    from += found.index + found[0].length;
  }
  const hit = forbidden.find(({ pattern }) => pattern.test(log.slice(from)));
  return hit === undefined ? undefined : `the log has '${hit.text}'`;
}
