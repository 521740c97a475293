import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import * as api from '../../src/browser.ts';
import { type Exercised, exercise } from './exercise.ts';
import { type Site, serve } from './server.ts';
import type { Request } from './worker.ts';

/**
 * The published browser entry in Chromium: same programs, same results as in Node, on both engines, in a worker and on the
 * main thread. Chromium is Debian's, driven by playwright-core, which brings none.
 */

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
if (CHROMIUM === undefined) console.log('not run: the tests in a browser (chromium is not installed)');

/** As the design has it. Chromium allows about 124 memories in a process, and takes their space back late. */
const KERNELS = 1_000;

const fromPrograms = async (name: string) =>
  new Uint8Array(await readFile(new URL(`../../programs/${name}`, import.meta.url)));

describe('in Chromium', { skip: CHROMIUM === undefined }, () => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  before(async () => {
    site = await serve();
    // Chromium's sandbox does not start for root, whom CI is.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    page = await browser.newPage();
    await page.goto(`${site.origin}/test/browser/page.html`);
  });
  after(async () => {
    await browser?.close();
    await site?.[Symbol.asyncDispose]();
  });

  /** A fresh worker's answer. */
  async function inWorker(request: Request): Promise<unknown> {
    const answer = await page.evaluate(async (data) => {
      const worker = new Worker('/test/browser/worker.js', { type: 'module' });
      const message = await new Promise<Record<string, unknown>>((done) => {
        worker.onmessage = (event) => done(event.data);
        worker.onerror = (event) => done({ error: event.message });
        worker.postMessage(data);
      });
      worker.terminate();
      return message;
    }, request);
    assert.equal(answer.error, undefined);
    assert.equal(answer.crossOriginIsolated, true);
    return answer.result;
  }

  async function onMainThread(request: Request): Promise<unknown> {
    return page.evaluate(async (data) => {
      const { ask }: typeof import('./worker.ts') = await import('/test/browser/worker.js' as string);
      return ask(data);
    }, request);
  }

  for (const engine of ['interpreter', 'jit'] as const) {
    it(`list and hash table give in a worker and on the main thread what they give in Node: ${engine}`, async () => {
      const expected = await inNode(engine);
      assert.equal(expected.list.isCompiled, engine === 'jit');
      assert.deepEqual(await inWorker({ exercise: engine }), expected);
      assert.deepEqual(await onMainThread({ exercise: engine }), expected);
    });
  }

  it('programs run on two CPUs at once, from a worker and from the main thread', async () => {
    const expected = { numbers: [0, 1], sum: 20_000, stuck: 'EBADF' };
    assert.deepEqual(await inWorker({ cpus: 2 }), expected);
    assert.deepEqual(await onMainThread({ cpus: 2 }), expected);
  });

  it(`${KERNELS} kernels, one after the other, share two memories`, async () => {
    assert.equal(await inWorker({ openAndClose: KERNELS }), 2);
  });
});

/** As it looks once it has gone from thread to thread. */
async function inNode(engine: 'jit' | 'interpreter'): Promise<Exercised> {
  return structuredClone(await exercise(api, fromPrograms, engine));
}
