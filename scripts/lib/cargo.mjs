import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { root, targetDirectory } from './paths.mjs';
import { runOrFail } from './run.mjs';
import { heartbeat } from './steps.mjs';

const keptBinaries = 8;

/** Build outputs lie in the cache, so that a fresh clone reuses every dependency. */
export function cargoEnvironment(kit, env = process.env) {
  return { ...env, RATCHET_KIT: kit, CARGO_TARGET_DIR: targetDirectory(env) };
}

/** Builds the aggregator; cargo itself knows when there is nothing to do. */
export async function ensureAggregator({ cacheDir, kit, report }) {
  const env = cargoEnvironment(kit);
  const args = ['build', '--release', '-p', 'ratchet-aggregator', '--locked'];
  let compiled = 0;
  let waiting = false;
  const stop = heartbeat((line) => {
    report(
      `${line} (${waiting ? 'another cargo holds the build directory' : `${compiled} crates`})`,
    );
  }, 'compiling');
  try {
    await runOrFail('building the aggregator', 'cargo', args, {
      cwd: root,
      env,
      timeoutMs: 60 * 60_000,
      onLine: (line) => {
        waiting = /Blocking waiting for file lock/.test(line);
        if (/^\s*Compiling /.test(line)) compiled += 1;
      },
    });
  } finally {
    stop();
  }
  const built = join(env.CARGO_TARGET_DIR, 'release', 'aggregator');
  const value = keepCopy(built, join(cacheDir, 'aggregator'));
  const what = compiled === 0 ? 'up to date' : `built (${compiled} crates compiled)`;
  return { value, did: what };
}

/**
 * Another clone may build into the same directory at any time, so what we run is a copy, named by
 * its content.
 */
function keepCopy(built, directory) {
  const digest = createHash('sha256').update(readFileSync(built)).digest('hex').slice(0, 16);
  const home = join(directory, digest);
  const copy = join(home, 'aggregator');
  if (!existsSync(copy)) {
    mkdirSync(home, { recursive: true });
    const draft = `${copy}.${process.pid}.draft`;
    copyFileSync(built, draft);
    renameSync(draft, copy);
  }
  const now = new Date();
  utimesSync(home, now, now);
  prune(directory, digest);
  return copy;
}

function prune(directory, current) {
  const byAge = readdirSync(directory)
    .filter((name) => name !== current)
    .map((name) => ({ name, used: statSync(join(directory, name)).mtimeMs }))
    .sort((left, right) => right.used - left.used);
  for (const { name } of byAge.slice(keptBinaries - 1)) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}
