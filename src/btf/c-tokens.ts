import { FormatError } from '../errors.ts';

/** The words, numbers and marks of C declarations; comments and white space separate them. */
export interface CToken {
  readonly text: string;
  /** Characters into the text. */
  readonly offset: number;
}

const TOKEN = /\s+|\/\*[\s\S]*?\*\/|\/\/[^\n]*|([A-Za-z_]\w*|\d\w*|\.\.\.|[{}()[\];,*=:-])/y;

export function tokensOf(text: string): CToken[] {
  const tokens: CToken[] = [];
  TOKEN.lastIndex = 0;
  for (let offset = 0; offset < text.length; offset = TOKEN.lastIndex) {
    TOKEN.lastIndex = offset;
    const found = TOKEN.exec(text);
    if (found === null) throw new FormatError('C declarations', offset, `\`${text[offset]}\` is unexpected`);
    if (found[1] !== undefined) tokens.push({ text: found[1], offset });
  }
  return tokens;
}
