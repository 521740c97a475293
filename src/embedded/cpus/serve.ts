import { setClockOrigin } from '../clock.ts';
import { Cpu } from '../cpu.ts';
import { lockAs } from '../spin-lock.ts';
import type { Answer, Forget, Later, Printed, Question, SentError, Streamed } from './messages.ts';
import { WorkerHost } from './worker-host.ts';
import { WorkerProgram } from './worker-program.ts';

/**
 * A worker CPU: it answers questions, one after the other. How they come and go is the platform's matter (web-worker.ts,
 * node-worker.ts).
 */

/** @returns what takes messages. @param post sends one. */
export function serve(
  post: (message: Answer | Printed | Later | Streamed) => void,
): (message: Question | Forget) => void {
  let host: WorkerHost | undefined;
  let cpu: Cpu | undefined;
  const programs = new Map<number, WorkerProgram>();

  function answer(question: Question): Answer {
    if (question.kind === 'start') {
      const { settings } = question;
      lockAs(settings.cpu);
      setClockOrigin(settings.clockOrigin);
      host = new WorkerHost(
        settings,
        (line) => post({ kind: 'printed', line }),
        (deferred) => post({ kind: 'later', deferred }),
        (program, stream, text) => post({ kind: 'streamed', program, stream, text }),
      );
      cpu = new Cpu(host, settings.cpu);
      return { kind: 'done' };
    }
    if (host === undefined || cpu === undefined) throw new TypeError('the CPU was not started');
    if (question.kind === 'program') {
      programs.set(question.key, new WorkerProgram(host, cpu, question.parts));
      return { kind: 'done' };
    }
    const program = programs.get(question.key);
    if (program === undefined) throw new TypeError(`the CPU has no program ${question.key}`);
    return { kind: 'done', result: cpu.run(program, question.options) };
  }

  function forget(key: number): void {
    const id = programs.get(key)?.arenaId;
    programs.delete(key);
    cpu?.tailCalls.expel(key);
    const used = [...programs.values()].some(({ arenaId }) => arenaId === id);
    if (id !== undefined && !used) host?.removeArena(id);
  }

  return (message) => {
    if (message.kind === 'forget') {
      forget(message.key);
      return;
    }
    let reply: Answer;
    try {
      reply = answer(message);
    } catch (error) {
      reply = { kind: 'failed', error: sent(error) };
    }
    post(reply);
  };
}

function sent(error: unknown): SentError {
  if (!(error instanceof Error))
    return { code: undefined, name: 'Error', message: String(error), stack: undefined };
  const { name, message, stack } = error;
  return { code: (error as { code?: string }).code, name, message, stack };
}
