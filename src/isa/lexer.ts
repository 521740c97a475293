/**
 * Assembly text as tokens, and constant expressions over them: the ground that the instruction parser and the
 * assembler's directives stand on. A statement ends at a newline or `;`. Every error is a FormatError whose `offset` is
 * the line number, counted from 1, and says what was expected.
 */

import { FormatError } from '../errors.ts';

const KINDS = ['name', 'number', 'label', 'string', 'operator', 'end'] as const;

export interface Token {
  /** `end` closes a statement; the last token of a text is always one. */
  readonly kind: (typeof KINDS)[number];
  readonly text: string;
  /** Line of the text, counted from 1. */
  readonly line: number;
  /** Where the token stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/**
 * In order of trial. `s>` and its kin come before names because clang writes signed operators without a space; a
 * numeric label reference such as `1b` comes before numbers.
 */
const TOKEN = new RegExp(
  [
    /(?<blank>[ \t\r\f\v]+|(?:#|\/\/)[^\n]*)/,
    /(?<comment>\/\*[\s\S]*?(?:\*\/|$))/,
    /(?<end>[\n;])/,
    /(?<string>"(?:[^"\\\n]|\\[^\n])*")/,
    /(?<number>0[xX][\da-fA-F]{1,32}(?!\w)|0[bB][01]{1,64}(?!\w)|\d{1,39}(?!\w)|'(?:[^'\\\n]|\\[^\n])')/,
    /(?<label>\d{1,9}[bf](?!\w))/,
    /(?<operator>s(?:>>=|>=|<=|\/=|%=|>|<)|<<=|>>=|[-+*/%&|^=!<>]=|<<|>>|[-+*/%&|^~=<>()[\]{},:@!?])/,
    /(?<name>[A-Za-z_.$][\w.$]*)/,
  ]
    .map((each) => each.source)
    .join('|'),
  'y',
);

/** A line that begins with `;` is a source line in a listing of llvm-objdump, hence a comment. */
const SOURCE_LINE = /^([ \t]*);[^\n]*/gm;

/** Splits text into tokens. @throws FormatError at the first character that starts none. */
function tokenize(text: string, name: string): Token[] {
  const source = text.replace(SOURCE_LINE, (match) => ' '.repeat(match.length));
  const tokens: Token[] = [];
  let line = 1;
  let start = 0;
  while (start < source.length) {
    TOKEN.lastIndex = start;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) {
      throw new FormatError(
        name,
        line,
        `expected a statement, found ${JSON.stringify(source.slice(start, start + 12))}`,
      );
    }
    const end = TOKEN.lastIndex;
    const at = { text: source.slice(start, end), line, start, end };
    if (groups.comment !== undefined) {
      if (!at.text.endsWith('*/'))
        throw new FormatError(name, line, 'expected `*/`, found the end of the text');
      line += at.text.split('\n').length - 1;
    } else if (groups.blank === undefined) {
      tokens.push({ kind: KINDS.find((each) => groups[each] !== undefined) ?? 'end', ...at });
    }
    if (at.text === '\n') line++;
    start = end;
  }
  tokens.push({ kind: 'end', text: '', line, start, end: start });
  return tokens;
}

/** A constant, or a symbol plus a constant. */
export interface Expression {
  readonly value: bigint;
  readonly symbol?: string;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

/** Binary operators by how tightly they bind, loosest first (C's order). */
const PRECEDENCE: readonly (readonly string[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Expressions may not grow without bound: a 64-bit value shifted by 64 is the largest that has a use. */
const MAX_SHIFT = 64n;
const MAX_DEPTH = 64;

/** Walks tokens from left to right; the parsers' one state. */
export class Cursor {
  readonly name: string;
  /** Values of `.equ` constants, which expressions may use. */
  readonly constants: ReadonlyMap<string, bigint>;
  private readonly text: string;
  private readonly tokens: readonly Token[];
  private position = 0;
  private depth = 0;

  /** @param name the file's name, for errors. */
  constructor(text: string, name: string, constants: ReadonlyMap<string, bigint> = new Map()) {
    this.name = name;
    this.text = text;
    this.tokens = tokenize(text, name);
    this.constants = constants;
  }

  /** The token `ahead` places further; past the text it is the last, an `end`. */
  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.position + ahead, this.tokens.length - 1)];
  }

  /** Whether the whole text is used up. */
  get done(): boolean {
    return this.position >= this.tokens.length;
  }

  /** Takes the next token, also an `end`. */
  take(): Token {
    const token = this.peek();
    this.position++;
    return token;
  }

  /** Whether the next token is this operator or name. */
  at(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.text === text && token.kind !== 'string';
  }

  /** Takes the next token if it is this one. */
  accept(text: string): boolean {
    const found = this.at(text);
    if (found) this.position++;
    return found;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`\`${text}\``);
  }

  /** Takes a name. @param what what it names, for the error. */
  expectName(what: string): string {
    if (this.peek().kind !== 'name') this.fail(what);
    return this.take().text;
  }

  /** Takes a string, its escapes resolved. */
  expectString(what: string): string {
    if (this.peek().kind !== 'string') this.fail(what);
    return unquote(this.take().text);
  }

  expectEnd(): void {
    if (this.peek().kind !== 'end') this.fail('the end of the statement');
    this.position++;
  }

  /** The text from the next token up to the next comma or the end of the statement, as it was written. */
  takeRaw(what: string): string {
    const first = this.peek();
    let last = first;
    while (this.peek().kind !== 'end' && !this.at(',')) last = this.take();
    if (last === first && (first.kind === 'end' || first.text === ',')) this.fail(what);
    return this.text.slice(first.start, last.end);
  }

  /** @throws FormatError naming the line, what was expected and what stands there. */
  fail(expected: string): never {
    const token = this.peek();
    const found = token.kind === 'end' ? 'the end of the statement' : `\`${token.text}\``;
    return this.reject(`expected ${expected}, found ${found}`, token.line);
  }

  /** @throws FormatError with this problem. */
  reject(problem: string, line = this.peek().line): never {
    throw new FormatError(this.name, line, problem);
  }

  /** A constant expression, or one of the form `symbol + constant`. */
  expression(what = 'a number'): Expression {
    return this.binary(0, what);
  }

  /** An expression without a symbol. */
  constant(what = 'a number'): bigint {
    const { line } = this.peek();
    const { value, symbol } = this.expression(what);
    if (symbol !== undefined) this.reject(`expected ${what}, found the symbol \`${symbol}\``, line);
    return value;
  }

  /** A constant within these bounds, both included. */
  integer(minimum: number, maximum: number, what: string): number {
    const { line } = this.peek();
    const value = this.constant(what);
    if (value < minimum || value > maximum) {
      this.reject(`expected ${what} from ${minimum} to ${maximum}, found ${value}`, line);
    }
    return Number(value);
  }

  private binary(level: number, what: string): Expression {
    if (level === PRECEDENCE.length) return this.unary(what);
    let left = this.binary(level + 1, what);
    while (this.peek().kind === 'operator' && PRECEDENCE[level].includes(this.peek().text)) {
      const { text, line } = this.take();
      left = this.combine(text, left, this.binary(level + 1, what), line);
    }
    return left;
  }

  private combine(operator: string, left: Expression, right: Expression, line: number): Expression {
    const [a, b] = [left.value, right.value];
    if (operator === '+' && !(left.symbol && right.symbol)) {
      return { value: a + b, symbol: left.symbol ?? right.symbol };
    }
    if (right.symbol !== undefined || (left.symbol !== undefined && operator !== '-')) {
      this.reject(`\`${operator}\` needs numbers, not symbols`, line);
    }
    if ((operator === '<<' || operator === '>>') && (b < 0n || b > MAX_SHIFT)) {
      this.reject(`expected a shift from 0 to ${MAX_SHIFT}, found ${b}`, line);
    }
    if ((operator === '/' || operator === '%') && b === 0n) this.reject('division by zero', line);
    return { value: CONSTANT_OPERATORS[operator](a, b), symbol: left.symbol };
  }

  private unary(what: string): Expression {
    if (++this.depth > MAX_DEPTH) this.reject('the expression is nested too deeply');
    try {
      if (this.accept('-')) return { value: -this.number(what) };
      if (this.accept('~')) return { value: ~this.number(what) };
      if (this.accept('+')) return this.unary(what);
      if (this.accept('(')) {
        const inner = this.expression(what);
        this.expect(')');
        return inner;
      }
      return this.primary(what);
    } finally {
      this.depth--;
    }
  }

  /** The operand of a unary operator. */
  private number(what: string): bigint {
    const { line } = this.peek();
    const { value, symbol } = this.unary(what);
    if (symbol !== undefined) this.reject(`expected ${what}, found the symbol \`${symbol}\``, line);
    return value;
  }

  private primary(what: string): Expression {
    const { kind, text } = this.peek();
    if (kind === 'number') {
      this.position++;
      return {
        value: text.startsWith("'") ? BigInt(unquote(text).codePointAt(0) ?? 0) : BigInt(text.toLowerCase()),
      };
    }
    if (kind !== 'name') this.fail(what);
    this.position++;
    const constant = this.constants.get(text);
    return constant === undefined ? { value: 0n, symbol: text } : { value: constant };
  }
}

const CONSTANT_OPERATORS: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '&': (a, b) => a & b,
  '<<': (a, b) => BigInt.asIntN(128, a << b),
  '>>': (a, b) => a >> b,
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => BigInt.asIntN(128, a * b),
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

/** The text between the quotes, escapes resolved: \n, \t, …, \xhh, up to three octal digits, any other as itself. */
function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(?:x([\da-fA-F]{1,2})|([0-7]{1,3})|(.))/g, (_, hex, octal, other) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    return ESCAPES[other] ?? other;
  });
}
