import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { runOrFail } from './run.mjs';

/** `npm ci`, unless node_modules holds exactly what package-lock.json says, for this Node. */
export async function ensureNpmDependencies(report) {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stamp = join(root, 'node_modules', '.ratchet-npm-stamp');
  const wanted = fingerprint(lock);
  if (readOrNull(stamp) === wanted) return { value: undefined, did: 'up to date' };
  if (matchesLock(lock, readOrNull(join(root, 'node_modules', '.package-lock.json')))) {
    const native = await nativeModulesLoad();
    if (native) {
      writeFileSync(stamp, wanted);
      return { value: undefined, did: 'already installed' };
    }
  }
  report('npm ci');
  await runOrFail('npm ci', 'npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    timeoutMs: 20 * 60_000,
  });
  writeFileSync(stamp, wanted);
  const count = Object.keys(JSON.parse(lock).packages).length - 1;
  return { value: undefined, did: `installed from package-lock.json (${count} packages)` };
}

/** Native modules are compiled for one Node ABI. */
function fingerprint(lock) {
  const parts = [process.versions.modules, process.platform, process.arch, lock];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}

/** npm records what it installed; packages for other platforms are left out there. */
export function matchesLock(lockText, installedText) {
  if (installedText === null) return false;
  const wanted = JSON.parse(lockText).packages ?? {};
  const installed = parse(installedText)?.packages ?? {};
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

async function nativeModulesLoad() {
  if (!existsSync(join(root, 'node_modules', 'better-sqlite3'))) return false;
  try {
    const script = "new (require('better-sqlite3'))(':memory:').close()";
    await runOrFail('better-sqlite3', process.execPath, ['-e', script], { cwd: root });
    return true;
  } catch {
    return false;
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readOrNull(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
