import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../guest/files.mjs';
import { codecDigest } from '../lib/codec.mjs';
import { root } from '../lib/paths.mjs';
import { logFile, parseAttestation, proofs, readAttestation } from './attestation.mjs';
import { countTrusted, findHoles } from './holes.mjs';
import { mutantProblems, readMutants, reportFile } from './mutants.mjs';
import { pins } from './pins.mjs';

const run = 'run `npm run prove`, which needs Verus, and commit what it writes';

/**
 * Whether these files of the codec are attested, without a verifier: {codec, attestation,
 * problems}. Without problems, whoever wrote the attestation says that exactly these are proven.
 */
export function check(files, home = proofs) {
  const codec = codecDigest(files);
  const problems = [
    ...findHoles(files).map((hole) => `a hole in the proof: ${hole}`),
    ...vstdProblems(readFileSync(join(root, 'Cargo.toml'), 'utf8')),
  ];
  const text = readAttestation(codec, home);
  if (text === null) {
    problems.push(`no attestation of the codec ${codec}: ${run}`);
    return { codec, attestation: null, problems };
  }
  try {
    const attestation = parseAttestation(text, codec);
    problems.push(...matchProblems(attestation, files, home));
    return { codec, attestation, problems };
  } catch (error) {
    problems.push(`the attestation of ${codec} is not valid: ${error.message}; ${run}`);
    return { codec, attestation: null, problems };
  }
}

function matchProblems(attestation, files, home) {
  const problems = [];
  const bodies = countTrusted(files);
  if (attestation.external_body !== bodies) {
    problems.push(`external_body: ${bodies} in the sources, ${attestation.external_body} attested`);
  }
  const log = logFile(attestation.codec, home);
  if (!existsSync(log)) return [...problems, `no log of the codec ${attestation.codec}`];
  const digest = sha256(readFileSync(log));
  if (digest !== attestation.log_sha256) {
    problems.push(`the log has SHA-256 ${digest}, ${attestation.log_sha256} is attested`);
  }
  return problems;
}

/** The library that is compiled must be the one that the proofs were made with. */
export function vstdProblems(manifest) {
  const version = /^vstd = \{ version = "=([^"]+)"/m.exec(manifest)?.[1];
  if (version === pins.vstd) return [];
  return [`Cargo.toml: vstd is ${version ?? 'not pinned'}, the verifier's is ${pins.vstd}`];
}

/** Whether the list of mutants, and the report of the last run, are of this codec's sources. */
export function checkMutants(files, home = proofs) {
  const report = reportFile(home);
  const text = existsSync(report) ? readFileSync(report, 'utf8') : '';
  return mutantProblems(readMutants(home), files, text);
}
