#!/usr/bin/env node
import { enter } from './door.js';

await enter('bpf-arena', 'src/cli/main.ts', 'dist/cli/main.js');
