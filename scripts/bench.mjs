import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, withPeers } from './bootstrap.mjs';
import { exec } from './lib/exec.mjs';
import { runAsMain } from './lib/main.mjs';
import { root } from './lib/paths.mjs';

/** Benches that run a server of others side by side. */
const measuredWithPeers = new Set(['peer']);

await runAsMain(import.meta.url, 'bench', async ([name, ...rest]) => {
  const known = benches();
  const list = known.length === 0 ? 'none yet' : known.join(', ');
  if (name === undefined || name === '--help' || name === '-h') {
    process.stdout.write(`Usage: npm run bench -- NAME [--json] [OPTIONS]\n\nBenches: ${list}\n`);
    return name === undefined ? 2 : 0;
  }
  if (!known.includes(name)) {
    process.stderr.write(`bench: no bench "${name}"; there are: ${list}\n`);
    return 2;
  }
  const env = await bootstrap();
  return exec(
    join('bench', `${name}.ts`),
    rest,
    measuredWithPeers.has(name) ? await withPeers(env) : env,
  );
});

/** Every TypeScript file right below bench/ is one. */
function benches() {
  const directory = join(root, 'bench');
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
}
