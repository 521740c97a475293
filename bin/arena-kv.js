#!/usr/bin/env node
import { enter } from './door.js';

await enter('arena-kv', 'apps/kv/main.ts', 'dist/apps/kv/main.js');
