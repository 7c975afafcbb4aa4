import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './paths.mjs';
import { runOrFail } from './run.mjs';
import { heartbeat } from './steps.mjs';

const addon = join('node_modules', 'better-sqlite3', 'build', 'Release', 'better_sqlite3.node');

/** `npm ci`, unless node_modules holds exactly what package-lock.json says, for this Node. */
export async function ensureNpmDependencies(report, cacheDir) {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stamp = join(root, 'node_modules', '.ratchet-npm-stamp');
  const wanted = fingerprint(lock);
  if (readOrNull(stamp) === wanted) return { value: undefined, did: 'up to date' };
  const installed = readOrNull(join(root, 'node_modules', '.package-lock.json'));
  if (matchesLock(lock, installed) && (await nativeModulesLoad())) {
    writeFileSync(stamp, wanted);
    return { value: undefined, did: 'already installed' };
  }
  await install(lock, cacheDir, report);
  writeFileSync(stamp, wanted);
  const count = Object.keys(JSON.parse(lock).packages).length - 1;
  return { value: undefined, did: `installed from package-lock.json (${count} packages)` };
}

/** The database addon takes a minute to compile: a fresh clone takes it from the cache. */
async function install(lock, cacheDir, report) {
  const kept = keptAddon(lock, cacheDir);
  if (existsSync(kept)) {
    await npm(['ci', '--ignore-scripts'], report);
    mkdirSync(dirname(join(root, addon)), { recursive: true });
    copyFileSync(kept, join(root, addon));
    if (await nativeModulesLoad()) return;
    report('the cached database addon does not load');
  }
  await npm(['ci'], report);
  mkdirSync(dirname(kept), { recursive: true });
  copyFileSync(join(root, addon), `${kept}.${process.pid}.draft`);
  renameSync(`${kept}.${process.pid}.draft`, kept);
}

async function npm(args, report) {
  report(`npm ${args.join(' ')}`);
  const stop = heartbeat(report, 'installing');
  const all = [...args, '--no-audit', '--no-fund'];
  try {
    await runOrFail('npm ci', 'npm', all, { cwd: root, timeoutMs: 20 * 60_000 });
  } finally {
    stop();
  }
}

function keptAddon(lock, cacheDir) {
  const entry = JSON.parse(lock).packages['node_modules/better-sqlite3'];
  const name = `better-sqlite3-${entry.version}-${fingerprint(JSON.stringify(entry)).slice(0, 16)}`;
  return join(cacheDir, 'native', `${name}.node`);
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
