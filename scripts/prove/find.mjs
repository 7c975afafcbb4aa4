import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { outputOf } from '../lib/run.mjs';
import { isPinned, pins } from './pins.mjs';

/** Thrown where no verifier of the pinned version is to be had. */
export class NoVerus extends Error {}

/** Where `--install` puts the release. */
export function installedHome(cacheDir) {
  return join(cacheDir, 'verus', pins.verus);
}

/**
 * Finds the verifier: the path that is given, that of RATCHET_VERUS, PATH, the installed release.
 * One that is named must have the pinned version; on PATH another version is passed over.
 * Resolves with {command, from, tools}.
 */
export async function findVerus({ path, env = process.env, cacheDir }) {
  if (path) return named(resolve(path), '--verus', env);
  if (env.RATCHET_VERUS) return named(resolve(env.RATCHET_VERUS), 'RATCHET_VERUS', env);
  const others = [];
  const installed = join(installedHome(cacheDir), 'verus');
  const places = [...onPath(env).map((command) => [command, 'PATH']), [installed, 'the cache']];
  for (const [command, from] of places) {
    if (!isExecutable(command)) continue;
    const build = await askBuild(command, env);
    if (build !== null && isPinned(build.version)) return found(command, from, build);
    others.push(`${command} (${build?.version ?? 'does not run'})`);
  }
  const passed = others.length === 0 ? '' : `; passed over: ${others.join(', ')}`;
  throw new NoVerus(
    `no Verus ${pins.verus} found${passed}. \`npm run prove -- --install\` installs it; or name ` +
      'one with --verus PATH or RATCHET_VERUS',
  );
}

async function named(command, from, env) {
  const build = await askBuild(command, env);
  if (build === null) {
    throw new NoVerus(`${from}: ${command} does not run ("--version --output-json" fails)`);
  }
  if (!isPinned(build.version)) {
    throw new NoVerus(`${from}: ${command} is Verus ${build.version}, needed is ${pins.verus}`);
  }
  return found(command, from, build);
}

function found(command, from, build) {
  const rust = build.toolchain.split('-')[0];
  if (rust !== pins.rust) {
    throw new NoVerus(`${command} was built for Rust ${rust}, needed is ${pins.rust}`);
  }
  // A verifier refuses to work with another Z3 than its own, and brings its own vstd.
  return { command, from, tools: { ...pins, verus: build.version, rust } };
}

/** What a verifier says of itself, or null: {version, toolchain, …}. */
async function askBuild(command, env) {
  const text = await outputOf(command, ['--version', '--output-json'], { env });
  try {
    const { verus } = JSON.parse(text);
    return typeof verus?.version === 'string' && typeof verus.toolchain === 'string' ? verus : null;
  } catch {
    return null;
  }
}

function onPath(env) {
  const directories = (env.PATH ?? '').split(delimiter).filter(Boolean);
  return directories.map((directory) => join(directory, 'verus'));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
