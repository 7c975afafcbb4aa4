import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of this clone. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** What outlives a clone: tools, the guest kit, build outputs. */
export function cacheDirectory(env = process.env) {
  if (env.RATCHET_CACHE) return resolve(env.RATCHET_CACHE);
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'ratchet');
}

export function targetDirectory(env = process.env) {
  return env.CARGO_TARGET_DIR ? resolve(env.CARGO_TARGET_DIR) : join(cacheDirectory(env), 'target');
}

/** The version of a tool that the go.mod of a folder pins, such as `v1.5.1`. */
export function pinnedVersion(module, folder = 'tools') {
  const goMod = readFileSync(join(root, folder, 'go.mod'), 'utf8');
  for (const line of goMod.split('\n')) {
    const [name, version] = line.trim().split(/\s+/);
    if (name === module && version?.startsWith('v')) return version;
  }
  throw new Error(`${folder}/go.mod pins no version of ${module}`);
}

/** True when `version` is at least `least`; both are lists of numbers. */
export function atLeast(version, least) {
  for (let index = 0; index < least.length; index += 1) {
    const difference = (version[index] ?? 0) - least[index];
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** The first dotted number in a text: `cargo 1.95.0 (…)` gives [1, 95, 0]. */
export function versionIn(text) {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match === null ? null : [match[1], match[2], match[3] ?? '0'].map(Number);
}
