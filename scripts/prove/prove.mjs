import { sha256 } from '../guest/files.mjs';
import { codecDigest } from '../lib/codec.mjs';
import { findHoles } from './holes.mjs';
import { command, runVerus } from './verus.mjs';
import { inParallel, withWorkspace } from './workspace.mjs';

/** Of each run; the whole codec takes seconds. */
const timeoutMs = 10 * 60_000;
/** Two cores are what every machine has. */
const width = 2;

/**
 * Verifies these files of the codec under each seed, until a signal ends it. Resolves with {codec,
 * verdict, reason, tools, functions_verified, errors, runs, seconds, log, log_sha256}; the verdict
 * is `verified` or `failed`: so it is too when the verifier has nothing to say of some function.
 */
export async function prove({ verus, files, seeds, env, signal, report = () => {} }) {
  const begun = performance.now();
  const runs = await withWorkspace(files, (directory) =>
    inParallel(seeds, width, async (seed) => {
      const result = await runVerus(verus, directory, { seed, timeoutMs, env, signal });
      report(describeRun(seed, result));
      return { seed, ...result };
    }),
  );
  const seconds = (performance.now() - begun) / 1_000;
  const reason = problemOf(runs) ?? holesOf(files);
  const codec = codecDigest(files);
  const log = logOf({ codec, tools: verus.tools, runs });
  return {
    codec,
    verdict: reason === null ? 'verified' : 'failed',
    reason,
    tools: verus.tools,
    functions_verified: Math.min(...runs.map(({ verified }) => verified)),
    errors: Math.max(...runs.map(({ errors }) => errors)),
    runs: runs.map(({ seed, verified, errors, seconds }) => ({ seed, verified, errors, seconds })),
    seconds,
    log,
    log_sha256: sha256(log),
  };
}

/** Why these runs do not prove anything, or null. */
function problemOf(runs) {
  if (runs.length === 0) return 'no seed to run with';
  const bad = runs.find(({ outcome }) => outcome !== 'verified');
  if (bad !== undefined) return `seed ${bad.seed}: ${bad.outcome}: ${bad.problem}`;
  const counts = new Set(runs.map(({ verified }) => verified));
  if (counts.size > 1) return `the seeds disagree on how much there is: ${[...counts].join(', ')}`;
  return null;
}

/** What the verifier does not look at, by the text of the sources, or null. */
function holesOf(files) {
  const holes = findHoles(files);
  return holes.length === 0 ? null : `holes: ${holes.join(', ')}`;
}

function describeRun(seed, { outcome, verified, errors, seconds, problem, text }) {
  const counts = `${verified} verified, ${errors} errors`;
  const line = `seed ${seed}: ${counts} (${seconds.toFixed(1)} s)`;
  return outcome === 'verified' ? line : `${line}: ${outcome}: ${problem}\n${text.slice(0, 8_000)}`;
}

/**
 * What a run says, without times and places: whoever runs the same verifier over the same files
 * with the same seeds gets the same text.
 */
function logOf({ codec, tools, runs }) {
  const messages = [...new Set(runs.map(({ text }) => text.trim()))].filter(Boolean);
  const lines = [
    `codec ${codec}`,
    ...Object.entries(tools).map(([name, version]) => `${name} ${version}`),
    command.join(' '),
    ...runs.map(({ seed, verified, errors, outcome }) => {
      return `seed ${seed}: ${outcome}: ${verified} verified, ${errors} errors`;
    }),
    ...messages,
    'asked of the solver:',
    ...(runs[0]?.functions ?? []).map(({ name, mode }) => `${mode} ${name}`),
  ];
  return `${lines.join('\n')}\n`;
}
