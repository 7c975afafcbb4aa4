// Finding a Rust toolchain that can compile for wasm32, or installing one.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { ask, run } from './commands.mjs';
import { readJson, writeAtomically } from './files.mjs';

export const TARGET = 'wasm32-unknown-unknown';
const DEBIAN_PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src', 'lld-22'];
const MINUTE = 60_000;

/**
 * A compiler for wasm32, remembered until its binary changes: a rustup toolchain with that target,
 * else Debian's packages, else what can be installed of the two.
 */
export async function findToolchain(home, log) {
  const memo = path.join(home, 'toolchain.json');
  const known = readJson(memo);
  if (known && known.stamp === stampOf(known.rustc) && known.choice === choice()) {
    return known;
  }
  const found =
    (await rustupToolchain(log, false)) ??
    (await debianToolchain()) ??
    (await rustupToolchain(log, true)) ??
    (await installDebian(log));
  if (!found) {
    throw new Error(
      `no Rust toolchain can compile for ${TARGET}: install rustup and run ` +
        `\`rustup target add ${TARGET}\`, or install the Debian packages ` +
        `${DEBIAN_PACKAGES.join(' ')}`,
    );
  }
  const toolchain = { ...found, stamp: stampOf(found.rustc), choice: choice() };
  writeAtomically(memo, JSON.stringify(toolchain));
  return toolchain;
}

/** RATCHET_GUEST_TOOLCHAIN=rustup or debian leaves only that one to choose. */
function choice() {
  return process.env.RATCHET_GUEST_TOOLCHAIN ?? 'any';
}

async function rustupToolchain(log, install) {
  if (choice() === 'debian') {
    return null;
  }
  const sysroot = await ask('rustup', ['run', 'stable', 'rustc', '--print', 'sysroot']);
  if (!sysroot) {
    return null;
  }
  const libraries = path.join(sysroot, 'lib/rustlib', TARGET, 'lib');
  if (!fs.existsSync(libraries) && install) {
    log(`guest kit: rustup target add ${TARGET}`);
    await ask('rustup', ['target', 'add', TARGET, '--toolchain', 'stable'], 2 * MINUTE);
  }
  const rustc = path.join(sysroot, 'bin/rustc');
  const version = fs.existsSync(libraries) && (await ask(rustc, ['--version']));
  return version
    ? { source: 'rustup', rustc, cargo: path.join(sysroot, 'bin/cargo'), version }
    : null;
}

async function debianToolchain() {
  const [rustc, cargo] = ['/usr/bin/rustc', '/usr/bin/cargo'];
  const needed = [rustc, cargo, '/usr/bin/rust-lld', '/usr/lib/rustlib/src/rust/library/core'];
  if (choice() === 'rustup' || !needed.every((file) => fs.existsSync(file))) {
    return null;
  }
  const version = await ask(rustc, ['--version']);
  return version ? { source: 'debian', rustc, cargo, version } : null;
}

async function installDebian(log) {
  if (choice() === 'rustup' || process.getuid?.() !== 0 || !fs.existsSync('/usr/bin/apt-get')) {
    return null;
  }
  log(`guest kit: apt-get install ${DEBIAN_PACKAGES.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { env, timeout: 5 * MINUTE });
  const install = ['install', '-qy', '--no-install-recommends', ...DEBIAN_PACKAGES];
  await run('apt-get', install, { env, timeout: 10 * MINUTE });
  return debianToolchain();
}

/** Changes whenever the file does. */
function stampOf(file) {
  try {
    const { size, mtimeMs } = fs.statSync(file);
    return `${size} ${mtimeMs}`;
  } catch {
    return 'missing';
  }
}
