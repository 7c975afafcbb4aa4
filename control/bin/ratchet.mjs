#!/usr/bin/env node
// The command line is TypeScript: this registers the loader and hands over.
import { register } from 'tsx/esm/api';

register();
const { main } = await import('../cli/main.ts');
await main();
