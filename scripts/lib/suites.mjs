import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, sep } from 'node:path';
import { root } from './paths.mjs';
import { cargoParser, checkParser, nodeParser } from './runners.mjs';

const minute = 60_000;
const bin = (name) => join(root, 'node_modules', '.bin', name);
const reporter = join(root, 'scripts', 'lib', 'reporter.mjs');

/** Tests spend most of their time waiting for servers and for windows to close. */
const atOnce = 2 * availableParallelism();
/** Each test file is a process of its own; node's own choice is one less. */
const filesAtOnce = availableParallelism();

/**
 * In the order in which they run: cheap and telling ones first.
 *   filters   the suite can run a part of its tests
 *   peers     it needs servers of others, which the bootstrap alone does not make
 *   command   [program, args] for a filter (null: everything), or null when there is nothing to run
 */
export const suites = [
  {
    name: 'lint',
    about: 'formatting and lint of TypeScript, scripts and JSON',
    limitMs: 3 * minute,
    parser: () => checkParser('biome check'),
    command: () => [bin('biome'), ['check', '--error-on-warnings', '--max-diagnostics=50', '.']],
  },
  {
    name: 'types',
    about: 'types of everything in TypeScript',
    limitMs: 5 * minute,
    parser: () => checkParser('tsc --noEmit'),
    command: () => [bin('tsc'), ['--noEmit', '-p', '.']],
  },
  {
    name: 'proofs',
    about: 'the codec has a valid attestation of its proofs',
    limitMs: minute,
    parser: () => checkParser('npm run prove -- --check'),
    command: () => [process.execPath, [join(root, 'scripts', 'prove.mjs'), '--check']],
  },
  {
    name: 'rustfmt',
    about: 'formatting of Rust',
    limitMs: 2 * minute,
    parser: () => checkParser('cargo fmt --check'),
    command: () => ['cargo', ['fmt', '--all', '--check']],
  },
  {
    name: 'clippy',
    about: 'lint of Rust',
    limitMs: 30 * minute,
    parser: () => checkParser('cargo clippy'),
    command: () => ['cargo', [...cargoArguments('clippy'), '--all-targets', '--', '-Dwarnings']],
  },
  {
    name: 'rust',
    about: 'tests of the Rust crates',
    limitMs: 45 * minute,
    filters: true,
    parser: cargoParser,
    command: (filter) => {
      const options = ['--', `--test-threads=${atOnce}`, ...(filter === null ? [] : [filter])];
      return ['cargo', [...cargoArguments('test'), '--no-fail-fast', ...options]];
    },
  },
  {
    name: 'unit',
    about: 'TypeScript tests beside the code, the launcher and the tidy rules',
    limitMs: 20 * minute,
    filters: true,
    parser: () => nodeParser(shortPath),
    command: (filter) => nodeTests(unitFiles(), filter, [`--test-concurrency=${filesAtOnce}`]),
  },
  {
    name: 'e2e',
    about: 'the whole system on real servers',
    limitMs: 90 * minute,
    filters: true,
    peers: true,
    parser: () => nodeParser(shortPath),
    command: (filter) => nodeTests(testFiles('test/e2e'), filter, ['--test-concurrency=1']),
  },
];

/** The release profile everywhere: dependencies are compiled once. */
function cargoArguments(command) {
  return [command, '--workspace', '--release', '--locked'];
}

function nodeTests(files, filter, extra) {
  if (files.length === 0) return null;
  const pattern = filter === null ? [] : [`--test-name-pattern=${literal(filter)}`];
  const options = [
    '--import',
    'tsx',
    '--test',
    `--test-reporter=${reporter}`,
    ...pattern,
    ...extra,
  ];
  return [process.execPath, [...options, ...files]];
}

function unitFiles() {
  const folders = [
    'activities',
    'bench',
    'control',
    'evolver',
    'guest/typescript/src',
    'scripts',
    'test',
    'workflows',
  ];
  return folders.flatMap(testFiles).filter((file) => !file.startsWith(`test${sep}e2e${sep}`));
}

/** Relative to the root, sorted; `.mjs` tests are those of the scripts. */
function testFiles(folder) {
  const directory = join(root, folder);
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true })
    .filter((file) => /\.test\.(ts|mjs)$/.test(file))
    .map((file) => join(folder, file))
    .sort();
}

function shortPath(file) {
  return file === null ? 'unknown file' : relative(root, file);
}

/** A filter is a plain text, node wants a regular expression. */
function literal(text) {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
