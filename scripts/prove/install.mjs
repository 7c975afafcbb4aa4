import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../guest/files.mjs';
import { fetchBytes } from '../lib/download.mjs';
import { withLock } from '../lib/lock.mjs';
import { outputOf, runOrFail } from '../lib/run.mjs';
import { heartbeat } from '../lib/steps.mjs';
import { findVerus, installedHome } from './find.mjs';
import { archives, pins, releases } from './pins.mjs';

const programs = ['verus', 'rust_verify', 'z3', 'cargo-verus'];

/**
 * Installs the pinned release into the cache, and the Rust toolchain that it runs on. What is there
 * already costs nothing; what was interrupted leaves nothing that counts as installed.
 */
export async function install({ cacheDir, env = process.env, report, archive = ownArchive() }) {
  const home = installedHome(cacheDir);
  await withLock(join(cacheDir, 'verus', 'lock'), () => unpackOnce(home, archive, env, report));
  await installRust(env, report);
  return findVerus({ path: join(home, 'verus'), env });
}

function ownArchive() {
  const platform = `${process.platform}-${process.arch}`;
  const archive = archives[platform];
  if (archive !== undefined) return archive;
  throw new Error(
    `no digest of Verus ${pins.verus} for ${platform} is pinned, so it is not installed for you. ` +
      `Look for that platform at ${releases.replace('/download/', '/tag/')}, check and unpack ` +
      `its archive, run \`rustup toolchain install ${pins.rust} --profile minimal\`, and set ` +
      'RATCHET_VERUS to the path of its program `verus`',
  );
}

async function unpackOnce(home, archive, env, report) {
  if (existsSync(join(home, 'verus'))) {
    report(`Verus ${pins.verus} is installed`);
    return;
  }
  // Only tests name another place.
  const url = `${env.RATCHET_VERUS_RELEASES ?? releases}/${archive.name}`;
  report(`downloading ${url}`);
  const stop = heartbeat(report, 'downloading');
  const bytes = await fetchBytes(url).catch(unreachable).finally(stop);
  const found = sha256(bytes);
  if (found !== archive.sha256) {
    throw new Error(`${archive.name} has SHA-256 ${found}, pinned is ${archive.sha256}`);
  }
  mkdirSync(join(home, '..'), { recursive: true });
  const draft = mkdtempSync(join(home, '..', 'draft-'));
  try {
    renameSync(await unpack(bytes, draft, env), home);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  report(`unpacked to ${home}, SHA-256 as pinned`);
}

function unreachable(error) {
  throw new Error(
    `${error.message}; where that cannot be downloaded, unpack it yourself, install Rust ` +
      `${pins.rust} with rustup, and set RATCHET_VERUS to the path of its program \`verus\``,
  );
}

/** Unpacks the archive; answers the folder in it that holds the verifier. */
async function unpack(bytes, draft, env) {
  const file = join(draft, 'verus.zip');
  writeFileSync(file, bytes);
  const [command, args] = await unpacker(file, draft, env);
  await runOrFail('unpacking', command, args, { env, timeoutMs: 5 * 60_000 });
  const homes = readdirSync(draft)
    .map((name) => join(draft, name))
    .filter((directory) => existsSync(join(directory, 'verus')));
  if (homes.length !== 1) throw new Error(`the archive holds ${homes.length} folders with a verus`);
  // Not every unpacker keeps the permission to run.
  for (const program of programs.map((name) => join(homes[0], name)).filter(existsSync)) {
    chmodSync(program, 0o755);
  }
  return homes[0];
}

async function unpacker(file, draft, env) {
  const known = [
    ['unzip', ['-v'], ['-q', '-o', file, '-d', draft]],
    ['bsdtar', ['--version'], ['-xf', file, '-C', draft]],
    ['python3', ['--version'], ['-m', 'zipfile', '-e', file, draft]],
  ];
  for (const [command, probe, args] of known) {
    if ((await outputOf(command, probe, { env })) !== null) return [command, args];
  }
  throw new Error('nothing here unpacks a zip archive: install one of unzip, bsdtar, python3');
}

/** The compiler and its library are enough; rustup itself is left as it is. */
async function installRust(env, report) {
  const toolchains = await outputOf('rustup', ['toolchain', 'list'], { env });
  if (toolchains === null) {
    throw new Error(
      `rustup is needed for Rust ${pins.rust}, which Verus runs on: https://rustup.rs`,
    );
  }
  if (toolchains.split('\n').some((line) => line.startsWith(`${pins.rust}-`))) return;
  const args = ['toolchain', 'install', pins.rust, '--profile', 'minimal', '--no-self-update'];
  report(`rustup ${args.join(' ')}`);
  const stop = heartbeat(report, 'installing Rust');
  const options = { env, timeoutMs: 20 * 60_000 };
  await runOrFail('installing Rust', 'rustup', args, options).finally(stop);
}
