/**
 * Bundles the guest and makes a component of it: `npm ci && npm run build`, then `guest.wasm`.
 *
 * Its runtime imports the empty WASI world; without HTTP, which is not of that world.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { componentize } from '@bytecodealliance/componentize-js';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const bundle = await build({
  entryPoints: [here('src/guest.ts')],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  external: ['ratchet:*'],
  write: false,
});
const { component } = await componentize(bundle.outputFiles[0].text, {
  witPath: here('../wit'),
  worldName: 'aggregator',
  disableFeatures: ['http', 'fetch-event'],
});
writeFileSync(here('guest.wasm'), component);
process.stdout.write(`guest.wasm: ${component.length} bytes\n`);
