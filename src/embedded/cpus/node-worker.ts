import { type MessagePort, parentPort } from 'node:worker_threads';
import { useDiscard } from '../memory-pool.ts';
import { discardPages } from '../node.ts';
import type { Question } from './messages.ts';
import { serve } from './serve.ts';

/** The script of a worker CPU in Node. */

useDiscard(discardPages);
const port = parentPort as MessagePort;
const receive = serve((message) => port.postMessage(message));
port.on('message', (message: Question) => receive(message));
