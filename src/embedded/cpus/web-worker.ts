import type { Question } from './messages.ts';
import { serve } from './serve.ts';

/** The script of a worker CPU in a browser. */

const receive = serve((message) => postMessage(message));
addEventListener('message', ({ data }: MessageEvent<Question>) => receive(data));
