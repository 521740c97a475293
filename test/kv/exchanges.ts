/**
 * Recorded exchanges: what was said to Debian's memcached on one connection, and what it answered, byte for byte. `{a*1000}` stands
 * for a thousand a's and `{cas}` for the cas number that was answered last. In answers some things are replaced, on both sides:
 * cas numbers by their order of appearance, times in seconds by tens (rounded up), the version, and what `me` says of how the item is
 * kept, which is each server's own matter.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

export interface Step {
  readonly send: string;
  receive?: string;
  /** The server closes the connection behind the answer. */
  closed?: boolean;
}

export interface Exchange {
  readonly name: string;
  readonly steps: Step[];
}

export const EXCHANGES = new URL('exchanges.json', import.meta.url);

export const readExchanges = (): Exchange[] => JSON.parse(readFileSync(EXCHANGES, 'utf8'));

/** Writes long runs in full. */
const expand = (text: string): string =>
  text.replace(/\{(.)\*(\d+)\}/gs, (_, letter: string, count: string) => letter.repeat(Number(count)));

/** Shortens long runs. */
const contract = (text: string): string =>
  text.replace(/(.)\1{49,}/gs, (run, letter) => `{${letter}*${run.length}}`);

/** What is replaced in answers, for one connection. */
export class Reader {
  private readonly cas: Map<string, string>;
  lastCas = '0';

  constructor(cas: ReadonlyMap<string, string> = new Map()) {
    this.cas = new Map(cas);
  }

  /** One that knows as much, and learns for itself. */
  fork(): Reader {
    return new Reader(this.cas);
  }

  /** An answer as it is compared. */
  read(answer: string): string {
    const named = (number: string) => {
      if (number === '0') return number;
      this.lastCas = number;
      const known = this.cas.get(number);
      if (known !== undefined) return known;
      const name = `<cas ${this.cas.size + 1}>`;
      this.cas.set(number, name);
      return name;
    };
    return contract(answer)
      .replace(/^VERSION .*$/gm, 'VERSION <version>')
      .replace(/^(VALUE \S+ \d+ \d+) (\d+)\r$/gm, (_, line, cas) => `${line} ${named(cas)}\r`)
      .replace(
        /^(ME .*?) exp=(-?\d+) la=\d+ cas=(\d+) (fetch=\S+) cls=\d+ size=\d+\r$/gm,
        (_, key, exp, _cas, fetch) => `${key} exp=${exp === '-1' ? exp : '<time>'} ${fetch}\r`,
      )
      .replace(
        /^((?:HD|VA|EN|NF|NS|EX) ?.*)\r$/gm,
        (_, line: string) =>
          `${line.replace(/ c(\d+)(?= |$)/g, (_, cas) => ` c${named(cas)}`).replace(/ ([tl])(\d+)(?= |$)/g, (_, flag, time) => ` ${flag}${Math.ceil(Number(time) / 10) * 10}`)}\r`,
      );
  }
}

/** How long an answer may take, in milliseconds, before it counts as missing. */
const PATIENCE = 20_000;

/** A connection that is talked on step by step. */
export class Talk implements Disposable {
  readonly #socket: Socket;
  readonly #reader = new Reader();
  #heard = '';
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(where: { port: number } | { path: string }) {
    this.#socket = connect(where);
    this.#socket.on('data', (data) => {
      this.#heard += data.toString('latin1');
      this.#wake?.();
    });
    const gone = () => {
      this.#closed = true;
      this.#wake?.();
    };
    this.#socket.on('close', gone);
    this.#socket.on('error', gone);
  }

  /**
   * Sends, and gives what is answered.
   * @param idle milliseconds of silence after which an answer is taken to be complete; without it, what the step says is waited for.
   */
  async step({ send, receive, closed = false }: Step, idle?: number): Promise<Step> {
    this.#socket.write(Buffer.from(expand(send.replaceAll('{cas}', this.#reader.lastCas)), 'latin1'));
    const until = Date.now() + PATIENCE;
    // Looking at all of a long answer each time something comes would take long.
    const tail = (receive ?? '').slice(-2);
    while (!this.#closed && Date.now() < until) {
      if (
        idle === undefined &&
        !closed &&
        this.#heard.endsWith(tail) &&
        this.#reader.fork().read(this.#heard) === receive
      )
        break;
      // A server that has something to say may be late.
      const silent = await this.#wait(idle === undefined ? PATIENCE : this.#heard === '' ? idle * 8 : idle);
      if (silent && idle !== undefined) break;
    }
    const answer = this.#reader.read(this.#heard);
    this.#heard = '';
    return { send, receive: answer, ...(this.#closed ? { closed: true } : {}) };
  }

  /** Sends, and gives what is answered, as it is, when `complete` says that it is all there. */
  async raw(send: string, complete: (text: string) => boolean): Promise<{ receive: string }> {
    this.#socket.write(Buffer.from(send, 'latin1'));
    const until = Date.now() + PATIENCE;
    while (!this.#closed && Date.now() < until && !complete(this.#heard)) await this.#wait(PATIENCE);
    const receive = this.#heard;
    this.#heard = '';
    return { receive };
  }

  /** @returns whether nothing came. */
  #wait(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        resolve(true);
      }, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(false);
      };
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
