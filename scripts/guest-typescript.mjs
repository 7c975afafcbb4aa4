/**
 * The guest in TypeScript as a component, made once a version of its sources in the cache: its
 * packages are many and large, so nobody gets them who does not ask. Prints `{"component":FILE}`.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { runAsMain } from './lib/main.mjs';
import { cacheDirectory, root } from './lib/paths.mjs';
import { runOrFail } from './lib/run.mjs';

const sources = [join('guest', 'typescript'), join('guest', 'wit')];
/** The packages cannot be had: unlike a source that does not build, a reason to do without. */
export class NoComponentizer extends Error {
  name = 'NoComponentizer';
}

const installMs = 10 * 60_000;
const buildMs = 5 * 60_000;

/** The file of the component; the cache keeps the packages of one lock for the next version. */
export async function typescriptGuest(env = process.env) {
  const home = join(cacheDirectory(env), 'guest-typescript');
  const component = join(home, `${digestOf(files())}.wasm`);
  if (existsSync(component)) return component;
  return await withLock(join(home, 'lock'), async () => {
    if (!existsSync(component)) await build(join(home, 'work'), component);
    return component;
  });
}

async function build(work, component) {
  const folder = join(work, sources[0]);
  rmSync(join(folder, 'src'), { recursive: true, force: true });
  for (const source of sources) {
    mkdirSync(join(work, source), { recursive: true });
    cpSync(join(root, source), join(work, source), {
      recursive: true,
      filter: (path) => !path.endsWith('node_modules') && !path.endsWith('.wasm'),
    });
  }
  // Not `npm ci`: it refuses the lock for builds for other platforms that the registry lacks.
  const npm = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const install = runOrFail('npm install', 'npm', npm, { cwd: folder, timeoutMs: installMs });
  await install.catch((error) => {
    throw new NoComponentizer(error.message, { cause: error });
  });
  const run = { cwd: folder, timeoutMs: buildMs };
  await runOrFail('build.mjs', process.execPath, ['build.mjs'], run);
  renameSync(join(folder, 'guest.wasm'), component);
}

/** What the component is made of, sorted. */
function files() {
  const all = sources.flatMap((source) =>
    readdirSync(join(root, source), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
  const other = /node_modules|\.wasm$|\.md$|\.test\.ts$/;
  return all.filter((file) => !other.test(file)).sort();
}

function digestOf(names) {
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${name}\n`).update(readFileSync(join(root, name)));
  return hash.digest('hex').slice(0, 16);
}

await runAsMain(import.meta.url, 'guest-typescript', async () => {
  process.stdout.write(`${JSON.stringify({ component: await typescriptGuest() })}\n`);
});
