import { homedir } from 'node:os';
import { lastLines, run } from '../lib/run.mjs';

/** The crate as cargo sees it; the encoder of messages, a feature, is part of what is verified. */
const crate = ['--crate-type=lib', '--crate-name=ratchet_codec', '--edition=2021'];
const feature = ['--cfg', 'feature="write"'];
const strictness = ['--no-cheating'];
const answer = ['--output-json', '--time-expanded'];
const source = 'guest/codec/src/lib.rs';

/** Per process, in KiB of addresses: the verifier and its solver need a tenth of this. */
const memoryLimit = 12 * 1024 * 1024;
const seedPlace = '{seed}';

/** What an attestation says of how the verifier was called; a run puts its seed in its place. */
export const command = [
  'verus',
  ...crate,
  ...feature,
  ...strictness,
  '--num-threads=1',
  ...answer,
  '--smt-option',
  `smt.random_seed=${seedPlace}`,
  source,
];

/**
 * Runs the verifier over a folder laid out as the repository. Resolves with {outcome, verified,
 * errors, seconds, functions, text}, where outcome is
 *   verified  everything, without an error
 *   refused   the code is well-formed, but something is not proven
 *   broken    no verdict: it does not build, breaks a rule of --no-cheating, or took too long
 * With modules only these are verified. A signal ends it; then the outcome is `broken`.
 */
export async function runVerus(verus, directory, { seed, timeoutMs, modules = [], env, signal }) {
  const args = command.slice(1).map((arg) => arg.replace(seedPlace, String(seed)));
  const limited = 'ulimit -v "$0" 2>/dev/null; exec "$@"';
  const begun = performance.now();
  const part = modules.flatMap((module) => ['--verify-only-module', module]);
  const shell = ['-c', limited, String(memoryLimit), verus.command, ...part, ...args];
  const options = { cwd: directory, env: environment(env), timeoutMs, signal };
  const result = await run('sh', shell, options);
  const seconds = (performance.now() - begun) / 1_000;
  return {
    seconds,
    ...verdict(result, { timeoutMs, modules }),
    text: normalise(result.stderr, directory),
  };
}

/** What the verifier needs of ours, so that nothing else can change what it does. */
function environment(env = process.env) {
  const names = /^(PATH|HOME|TMPDIR|LANG|CARGO_HOME|RUSTUP_\w+|VERUS_Z3_PATH|VERUS_USE_RUSTUP)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => names.test(name)));
}

function verdict(result, { timeoutMs, modules }) {
  const none = { outcome: 'broken', verified: 0, errors: 0, functions: [] };
  if (result.timedOut) return { ...none, problem: `took longer than ${timeoutMs / 1_000} s` };
  const report = parse(result.stdout);
  const results = report?.['verification-results'];
  if (!Number.isInteger(results?.verified)) {
    return { ...none, problem: firstError(result.output) };
  }
  const { verified, errors } = results;
  const counts = { verified, errors, functions: functionsOf(report) };
  const whole = results['is-verifying-entire-crate'] === true && results.success === true;
  if (result.code === 0 && errors === 0 && verified > 0 && (whole || modules.length > 0)) {
    return { ...counts, outcome: 'verified', problem: null };
  }
  const refused = errors > 0 && results['encountered-vir-error'] === false;
  const outcome = refused ? 'refused' : 'broken';
  return { ...counts, outcome, problem: firstError(result.stderr) };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the solver was asked about: [{module, name, mode, success}], in a fixed order. */
function functionsOf(report) {
  const modules = report['times-ms']?.smt?.['smt-run-module-times'] ?? [];
  const all = modules.flatMap(({ module, 'function-breakdown': functions = [] }) =>
    functions.map((entry) => ({
      module,
      name: entry.function,
      mode: entry['mode:'],
      success: entry.success,
    })),
  );
  const key = ({ module, name }) => `${module} ${name}`;
  return all.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function firstError(text) {
  return /^error.*$/m.exec(text)?.[0].slice(0, 300) ?? lastLines({ output: text }, 5).slice(-500);
}

/** Messages without what differs from machine to machine. */
function normalise(text, directory) {
  return text.replaceAll(`${directory}/`, '').replaceAll(homedir(), '~');
}
