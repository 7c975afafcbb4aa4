// The guest kit: everything that one `rustc` call needs to turn an aggregation into a core module.
//
// Finds a Rust toolchain that can compile for wasm32, compiles the guest crates once, and keeps the
// result under <cache>/kit/<digest>/, where the digest covers the guest sources, their locked
// dependencies, the compiler and its flags. Plain Node, so that it runs from a bare clone:
//
//   node scripts/guest.mjs
//
// <cache> is $RATCHET_CACHE, else ${XDG_CACHE_HOME:-~/.cache}/ratchet.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './guest/commands.mjs';
import { readJson, sha256, withLock, writeAtomically } from './guest/files.mjs';
import { findToolchain, TARGET } from './guest/toolchain.mjs';
import { codecDigest, withoutTests } from './lib/codec.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** Raised when this script builds kits differently. */
const SCHEMA = 3;
const KITS_KEPT = 3;
const MINUTE = 60_000;

/** The crates of a kit. Those with a module are also linked into a guest of that name. */
const CRATES = [
  { name: 'ratchet-codec', folder: 'guest/codec' },
  { name: 'ratchet-rules', folder: 'guest/rules' },
  { name: 'ratchet-api', folder: 'guest/api' },
  { name: 'ratchet-design', folder: 'guest/design' },
  { name: 'ratchet-baseline', folder: 'guest/baseline', module: 'baseline' },
  { name: 'ratchet-per-point', folder: 'bench/per-point', module: 'per-point' },
];
/** What a candidate may name; the other libraries are found as dependencies of these. */
const EXTERNS = ['ratchet_codec', 'ratchet_rules', 'ratchet_api', 'ratchet_design', 'hashbrown'];

const FEATURES = '-Ctarget-feature=+simd128,+bulk-memory';
const LINK_FLAGS = [
  '--target',
  TARGET,
  '--edition',
  '2021',
  '--crate-type',
  'cdylib',
  '--crate-name',
  'guest',
  '-Copt-level=3',
  '-Cpanic=abort',
  '-Ccodegen-units=1',
  FEATURES,
  '-Cstrip=symbols',
  '-Clink-arg=-zstack-size=65536',
  // A guest checks its deadline once an iteration, so larger loops are worth unrolling than LLVM
  // takes it for (30): measured on workloads A, B and C, 2 to 5 %.
  '-Cllvm-args=-unroll-partial-threshold=150',
];

/**
 * Of the modules that are linked once. For a candidate it would be a third to half of the time, and
 * give nothing: of what its own way calls for each message, it has a copy all the same, as that is
 * generic or `#[inline]`. What is made once an instance, and the general way for odd messages, are
 * in the libraries.
 */
const MODULE_FLAGS = ['-Clto=fat'];

/**
 * Makes sure that the kit of this source tree exists; costs next to nothing when it does.
 * @param {{ log?: (line: string) => void, cacheDir?: string }} [options]
 * @returns {Promise<{ dir: string, kit: object, built: boolean }>} kit: the content of kit.json
 */
export async function ensureGuestKit({ log = () => {}, cacheDir = defaultCache() } = {}) {
  const home = path.join(cacheDir, 'kit');
  fs.mkdirSync(home, { recursive: true });
  const sources = readSources();
  const toolchain = await findToolchain(home, log);
  const digest = kitDigest(sources, toolchain);
  const dir = path.join(home, digest.slice(0, 16));
  const ready = readKit(dir);
  if (ready) {
    return { dir, kit: ready, built: false };
  }
  return withLock(path.join(home, 'lock'), log, async () => {
    const meanwhile = readKit(dir);
    if (meanwhile) {
      return { dir, kit: meanwhile, built: false };
    }
    const started = Date.now();
    const how = toolchain.source === 'debian' ? ', with core and alloc' : '';
    log(`guest kit: compiling the guest crates${how} (${toolchain.version})`);
    const kit = await buildKit({ home, dir, digest, sources, toolchain });
    removeOldKits(home, dir);
    log(`guest kit: ${dir} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return { dir, kit, built: true };
  });
}

// --- what the kit is made of -------------------------------------------------------------------

/** The files of the kit's crates, and the packages that the lock file has for them. */
function readSources() {
  const files = new Map();
  for (const { folder } of CRATES) {
    addFile(files, `${folder}/Cargo.toml`);
    addTree(files, `${folder}/src`);
  }
  for (const { folder } of CRATES) {
    const manifest = `${folder}/Cargo.toml`;
    files.set(manifest, withoutTests(files.get(manifest)));
  }
  const codec = codecDigest(files);
  addFile(files, 'guest/candidate/src/lib.rs');
  addFile(files, 'Cargo.toml');
  const lock = fs.readFileSync(path.join(ROOT, 'Cargo.lock'), 'utf8');
  return { files, codec, lock, locked: lockedPackages(lock) };
}

function addFile(files, name) {
  files.set(name, fs.readFileSync(path.join(ROOT, name)));
}

function addTree(files, folder) {
  for (const entry of fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true })) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      addTree(files, name);
    } else {
      addFile(files, name);
    }
  }
}

/** The packages of a lock file, each with its text: name, version, source, checksum, needs. */
function packagesOf(lock) {
  const field = (block, name) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(block)?.[1];
  return lock
    .split('[[package]]\n')
    .slice(1)
    .map((block) => ({
      id: ['name', 'version', 'source', 'checksum'].map((name) => field(block, name)).join(' '),
      name: field(block, 'name'),
      version: field(block, 'version'),
      needs: [...block.matchAll(/^ "([^" ]+)(?: ([^" ]+))?/gm)],
    }));
}

/** The packages that the kit's crates can depend on, however indirectly: other parts of the lock
 * file may change without a new kit. */
function lockedPackages(lock) {
  const packages = packagesOf(lock);
  const kept = new Set();
  const visit = (name, version) => {
    for (const found of packages) {
      const matches = found.name === name && (!version || found.version === version);
      if (matches && !kept.has(found)) {
        kept.add(found);
        for (const [, need, exact] of found.needs) {
          visit(need, exact);
        }
      }
    }
  };
  for (const { name } of CRATES) {
    visit(name);
  }
  return [...kept].map(({ id }) => id).sort();
}

/** Cargo drops what the smaller workspace does not need from its lock file. It must add nothing. */
function checkLock(work, sources) {
  const locked = new Set(sources.locked);
  const used = packagesOf(fs.readFileSync(path.join(work, 'Cargo.lock'), 'utf8'));
  const other = used.filter(({ id }) => !locked.has(id));
  if (other.length > 0) {
    throw new Error(`guest kit: not in Cargo.lock: ${other.map(({ id }) => id).join(', ')}`);
  }
}

/** The workspace of the kit's crates alone, so that nothing else can change or break a kit. */
function workspaceToml(rootToml) {
  const members = CRATES.map(({ folder }) => `    "${folder}",\n`).join('');
  return rootToml.replace(/^members = \[[^\]]*\]/m, `members = [\n${members}]`);
}

/** The parts of the root manifest that matter to guests. */
function manifestParts(rootToml) {
  const wanted = /^\[(workspace\.package|workspace\.lints\.rust|profile\.guest|profile\.release)\]/;
  return rootToml
    .split(/^(?=\[)/m)
    .filter((part) => wanted.test(part))
    .join('');
}

function kitDigest({ files, locked }, toolchain) {
  const hash = createHash('sha256');
  const flags = [LINK_FLAGS, MODULE_FLAGS];
  const parts = [SCHEMA, toolchain.version, toolchain.source, ...flags, EXTERNS, locked];
  hash.update(JSON.stringify(parts));
  for (const [name, bytes] of files) {
    const part = name === 'Cargo.toml' ? manifestParts(bytes.toString()) : bytes;
    hash.update(`${name}\0${sha256(part)}\n`);
  }
  return hash.digest('hex');
}

// --- building ----------------------------------------------------------------------------------

async function buildKit({ home, dir, digest, sources, toolchain }) {
  const work = path.join(home, 'work');
  fs.rmSync(work, { recursive: true, force: true });
  fs.rmSync(dir, { recursive: true, force: true });
  writeWorkspace(work, sources);
  const artifacts = await compileCrates(home, work, toolchain);
  checkLock(work, sources);
  keepCodec(dir, sources);
  const { externs, sysroot } = placeLibraries(dir, artifacts, toolchain);
  const rlib = path.join(dir, 'rlib');
  const args = [...(sysroot ? ['--sysroot', sysroot] : []), ...LINK_FLAGS];
  args.push('-L', `dependency=${rlib}`);
  const link = { toolchain, args, externs };
  for (const { module, folder } of CRATES.filter((crate) => crate.module)) {
    await linkGuest(link, path.join(work, folder, 'src'), path.join(dir, `${module}.wasm`));
  }
  const template = path.join(dir, 'lib.rs');
  fs.writeFileSync(template, sources.files.get('guest/candidate/src/lib.rs'));
  fs.rmSync(work, { recursive: true, force: true });
  const kit = {
    kit: digest,
    rustc: toolchain.rustc,
    rustcVersion: toolchain.version,
    source: toolchain.source,
    args,
    externs,
    template,
    codecDigest: sources.codec,
    libraries: digestLibraries(dir),
    lockDigest: sha256(sources.locked.join('\n')),
    modules: Object.fromEntries(
      CRATES.filter((crate) => crate.module).map(({ module }) => [
        module,
        sha256(fs.readFileSync(path.join(dir, `${module}.wasm`))),
      ]),
    ),
  };
  writeAtomically(path.join(dir, 'kit.json'), `${JSON.stringify(kit, null, 2)}\n`);
  return kit;
}

function writeWorkspace(work, { files, lock }) {
  for (const [name, bytes] of files) {
    const file = path.join(work, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, name === 'Cargo.toml' ? workspaceToml(bytes.toString()) : bytes);
  }
  fs.writeFileSync(path.join(work, 'Cargo.lock'), lock);
}

/** The sources that the codec's library is made of: what a proof of a candidate is about. */
function keepCodec(dir, { files }) {
  for (const [name, bytes] of files) {
    if (name.startsWith('guest/codec/')) {
      const file = path.join(dir, path.relative('guest', name));
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, bytes);
    }
  }
}

/** SHA-256 of every library that a build may link, by its path in the kit. */
function digestLibraries(dir) {
  const files = ['rlib', 'sysroot']
    .filter((folder) => fs.existsSync(path.join(dir, folder)))
    .flatMap((folder) => {
      const names = fs.readdirSync(path.join(dir, folder), { recursive: true });
      return names.map((name) => path.join(folder, name));
    })
    .filter((name) => fs.statSync(path.join(dir, name)).isFile());
  return Object.fromEntries(
    files
      .sort()
      .map((name) => [
        name.replaceAll(path.sep, '/'),
        sha256(fs.readFileSync(path.join(dir, name))),
      ]),
  );
}

/** Compiles the crates and what they depend on; answers each library file with its crate's name. */
async function compileCrates(home, work, toolchain) {
  const cargoHome = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');
  const stamp = sha256(toolchain.version).slice(0, 8);
  const targetDir = path.join(home, `target-${toolchain.source}-${stamp}`);
  const rustflags = [
    FEATURES,
    '-Cembed-bitcode=yes',
    `--remap-path-prefix=${work}=/guest`,
    `--remap-path-prefix=${cargoHome}=/cargo`,
  ];
  const debian = toolchain.source === 'debian';
  const env = {
    PATH: process.env.PATH,
    HOME: os.homedir(),
    CARGO_HOME: cargoHome,
    CARGO_TARGET_DIR: targetDir,
    CARGO_ENCODED_RUSTFLAGS: rustflags.join('\x1f'),
    CARGO_PROFILE_GUEST_LTO: 'off',
    RUSTC: toolchain.rustc,
    ...(debian ? { RUSTC_BOOTSTRAP: '1' } : {}),
    ...proxies(),
  };
  const args = ['build', '--profile', 'guest', '--target', TARGET];
  args.push('--message-format=json-render-diagnostics');
  args.push(...CRATES.flatMap(({ name }) => ['-p', name]));
  if (debian) {
    args.push('-Zbuild-std=core,alloc');
  }
  const output = await run(toolchain.cargo, args, { cwd: work, env, timeout: 20 * MINUTE });
  const artifacts = [];
  for (const line of output.split('\n')) {
    const message = line.startsWith('{') ? JSON.parse(line) : {};
    if (message.reason === 'compiler-artifact') {
      const libraries = message.filenames.filter((file) => /\.(rlib|so|dylib|dll)$/.test(file));
      for (const file of libraries) {
        artifacts.push({ name: message.target.name, file });
      }
    }
  }
  return artifacts;
}

/**
 * Copies libraries into the kit: those of std into a sysroot of its own, and with the rest also the
 * procedural macros, which the compiler asks for when it loads a crate that used them.
 */
function placeLibraries(dir, artifacts, toolchain) {
  const rlib = path.join(dir, 'rlib');
  const sysroot = path.join(dir, 'sysroot');
  const std = path.join(sysroot, 'lib/rustlib', TARGET, 'lib');
  const ofStd = new Set(['core', 'alloc', 'compiler_builtins']);
  const modules = new Set(CRATES.filter((crate) => crate.module).map((crate) => crate.name));
  const externs = {};
  fs.mkdirSync(rlib, { recursive: true });
  for (const { name, file } of artifacts) {
    const crate = name.replaceAll('-', '_');
    const guest = file.includes(`${path.sep}${TARGET}${path.sep}`);
    if ((!guest && file.endsWith('.rlib')) || modules.has(crate.replaceAll('_', '-'))) {
      continue;
    }
    const folder = ofStd.has(crate) ? std : rlib;
    fs.mkdirSync(folder, { recursive: true });
    const place = path.join(folder, path.basename(file));
    fs.copyFileSync(file, place);
    if (guest && EXTERNS.includes(crate)) {
      externs[crate] = place;
    }
  }
  const missing = EXTERNS.filter((name) => !externs[name]);
  if (missing.length > 0) {
    throw new Error(`guest kit: cargo built no library for ${missing.join(', ')}`);
  }
  return { externs, sysroot: toolchain.source === 'debian' ? sysroot : null };
}

/** The call that makes a guest of a crate; candidates are built by the same but `MODULE_FLAGS`. */
async function linkGuest({ toolchain, args, externs }, folder, out) {
  const named = Object.entries(externs).flatMap(([name, file]) => ['--extern', `${name}=${file}`]);
  const remap = `--remap-path-prefix=${folder}=/guest`;
  const all = [...args, ...MODULE_FLAGS, ...named, remap, path.join(folder, 'lib.rs'), '-o', out];
  await run(toolchain.rustc, all, { env: { PATH: process.env.PATH }, timeout: 2 * MINUTE });
}

function removeOldKits(home, current) {
  const kits = fs
    .readdirSync(home)
    .filter((name) => /^[0-9a-f]{16}$/.test(name))
    .map((name) => path.join(home, name))
    .filter((dir) => dir !== current)
    .map((dir) => ({ dir, at: fs.statSync(dir).mtimeMs }))
    .sort((a, b) => b.at - a.at);
  for (const { dir } of kits.slice(KITS_KEPT - 1)) {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

// --- small things ------------------------------------------------------------------------------

function defaultCache() {
  const base = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return process.env.RATCHET_CACHE || path.join(base, 'ratchet');
}

function proxies() {
  const names = /^(https?_proxy|no_proxy|all_proxy|ssl_cert_file|cargo_(http|registries|net)_.*)$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.test(name)));
}

/** The kit in a folder, if it is whole: kit.json is written last. */
function readKit(dir) {
  return readJson(path.join(dir, 'kit.json'));
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { dir, kit } = await ensureGuestKit({ log: (line) => console.error(line) });
  console.log(JSON.stringify({ dir, kit: kit.kit, source: kit.source, rustc: kit.rustcVersion }));
}
