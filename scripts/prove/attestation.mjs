import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomically } from '../guest/files.mjs';
import { root } from '../lib/paths.mjs';
import { isPinned, pins } from './pins.mjs';
import { command } from './verus.mjs';

const schema = 1;
/** Fewer seeds may have been lucky. */
export const leastSeeds = 5;
/** Including the new one: a codec that is one or two changes behind may still be in use. */
const kept = 3;
const sizeLimit = 64 * 1024;

export const proofs = join(root, 'proofs');

export function attestationFile(codec, home = proofs) {
  return join(home, 'attestations', `${codec}.json`);
}

export function logFile(codec, home = proofs) {
  return join(home, 'logs', `${codec}.txt`);
}

/** What a run that verified everything says about the sources it ran over. */
export function attestationOf(run, { externalBodies, date }) {
  return {
    schema,
    codec: run.codec,
    tools: run.tools,
    command,
    seeds: run.runs.map(({ seed }) => seed),
    functions_verified: run.functions_verified,
    errors: run.errors,
    external_body: externalBodies,
    log_sha256: run.log_sha256,
    date: date.toISOString(),
  };
}

/** Writes attestation and log, and removes the oldest. Answers the attestation's path. */
export function writeAttestation(attestation, log, home = proofs) {
  const file = attestationFile(attestation.codec, home);
  for (const folder of ['attestations', 'logs']) mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(logFile(attestation.codec, home), log);
  writeAtomically(file, `${JSON.stringify(attestation, null, 2)}\n`);
  prune(attestation.codec, home);
  return file;
}

function prune(current, home) {
  const others = readdirSync(join(home, 'attestations'))
    .filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
    .map((name) => name.slice(0, -'.json'.length))
    .filter((codec) => codec !== current)
    .map((codec) => ({ codec, date: dateOf(attestationFile(codec, home)) }))
    .sort((left, right) => (left.date < right.date ? 1 : -1));
  for (const { codec } of others.slice(kept - 1)) {
    rmSync(attestationFile(codec, home), { force: true });
    rmSync(logFile(codec, home), { force: true });
  }
}

function dateOf(file) {
  try {
    return String(JSON.parse(readFileSync(file, 'utf8')).date);
  } catch {
    return '';
  }
}

/** The text of a codec's attestation, or null. */
export function readAttestation(codec, home = proofs) {
  const file = attestationFile(codec, home);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

/**
 * Reads an attestation of this codec strictly: throws with the first thing that is not as it must
 * be. `test/vectors/attestation.json` keeps the readers in TypeScript and Rust to the same rules.
 */
export function parseAttestation(text, codec) {
  if (text.length > sizeLimit) throw new Error(`longer than ${sizeLimit} characters`);
  const value = JSON.parse(text);
  for (const [name, rule] of Object.entries(rules(codec))) {
    const problem = isObject(value) && name in value ? rule(value[name]) : 'missing';
    if (problem) throw new Error(`${name}: ${problem}`);
  }
  const unknown = Object.keys(value).find((name) => !(name in rules(codec)));
  if (unknown !== undefined) throw new Error(`${unknown}: no such field`);
  return value;
}

/** What is wrong with the value of each field: a text, or anything false. */
function rules(codec) {
  return {
    schema: (value) => value !== schema && `${JSON.stringify(value)} is not ${schema}`,
    codec: (value) => value !== codec && `${JSON.stringify(value)} is not ${codec}`,
    tools: toolsProblem,
    command: (value) => !sameList(value, command) && `is not: ${command.join(' ')}`,
    seeds: seedsProblem,
    functions_verified: (value) => !isCount(value, 1) && `${value} is no number of functions`,
    errors: (value) => value !== 0 && `${JSON.stringify(value)} is not 0`,
    external_body: (value) => !isCount(value, 0) && `${JSON.stringify(value)} is no number`,
    log_sha256: (value) => !isDigest(value) && `${JSON.stringify(value)} is no SHA-256`,
    date: (value) => !isDate(value) && `${JSON.stringify(value)} is no time in UTC`,
  };
}

function toolsProblem(value) {
  if (!isObject(value)) return 'is no object';
  const names = Object.keys(value).sort().join(' ');
  const wanted = Object.keys(pins).sort().join(' ');
  if (names !== wanted) return `has ${names}, not ${wanted}`;
  if (!isPinned(value.verus)) return `verus ${JSON.stringify(value.verus)} is not ${pins.verus}`;
  const other = Object.keys(pins).find((name) => name !== 'verus' && value[name] !== pins[name]);
  return other && `${other} ${JSON.stringify(value[other])} is not ${pins[other]}`;
}

function seedsProblem(value) {
  if (!Array.isArray(value) || !value.every((seed) => isCount(seed, 0)))
    return 'is no list of seeds';
  const different = new Set(value).size;
  if (different !== value.length) return 'has a seed twice';
  return different < leastSeeds && `are ${different}, needed are ${leastSeeds}`;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value, least) {
  return Number.isSafeInteger(value) && value >= least && value <= 0xffff_ffff;
}

function isDigest(value) {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function isDate(value) {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) {
    return false;
  }
  return !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value;
}

function sameList(value, wanted) {
  return (
    Array.isArray(value) &&
    value.length === wanted.length &&
    value.every((item, index) => item === wanted[index])
  );
}
