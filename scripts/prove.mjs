import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readCodec } from './lib/codec.mjs';
import { runAsMain } from './lib/main.mjs';
import { cacheDirectory, root } from './lib/paths.mjs';
import { endAll } from './lib/run.mjs';
import {
  attestationOf,
  leastSeeds,
  parseAttestation,
  writeAttestation,
} from './prove/attestation.mjs';
import { check, checkMutants } from './prove/check.mjs';
import { findVerus, NoVerus } from './prove/find.mjs';
import { countTrusted } from './prove/holes.mjs';
import { install } from './prove/install.mjs';
import { describeMutants, readMutants, reportFile, runMutants } from './prove/mutants.mjs';
import { help, parseOptions, WrongOptions } from './prove/options.mjs';
import { isModified } from './prove/pins.mjs';
import { prove } from './prove/prove.mjs';

const modes = { prove: proveMode, check: checkMode, install: installMode, mutate: mutateMode };

await runAsMain(import.meta.url, 'prove', async (args) => {
  endOnSignals();
  try {
    const options = parseOptions(args);
    if (options.help) {
      process.stdout.write(help);
      return 0;
    }
    return await modes[options.mode](options, speaker(options.json));
  } catch (error) {
    if (!(error instanceof WrongOptions)) throw error;
    process.stderr.write(`prove: ${error.message}; see --help\n`);
    return 2;
  }
});

function endOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      endAll();
      process.exit(130);
    });
  }
}

/** `say` for people; `answer` for programs, where they asked. */
function speaker(json) {
  const stream = json ? process.stderr : process.stdout;
  return {
    say: (line) => stream.write(`${line}\n`),
    answer: (value) => json && process.stdout.write(`${JSON.stringify(value)}\n`),
  };
}

async function proveMode(options, { say, answer }) {
  const own = options.sources === undefined;
  const files = readCodec(options.sources);
  const verus = await verusOr(options, say, answer);
  if (verus === null) return 3;
  const seeds = Array.from({ length: options.seeds }, (_, index) => index + 1);
  say(`verifying the codec under ${seeds.length} seeds`);
  const { log, ...run } = await prove({ verus, files, seeds, report: say });
  const kept = keepLog(run.codec, log);
  say(`${run.functions_verified} functions verified, ${run.errors} errors, codec ${run.codec}`);
  say(`${run.verdict} in ${run.seconds.toFixed(1)} s${run.reason ? `: ${run.reason}` : ''}`);
  if (run.verdict === 'verified' && own && seeds.length >= leastSeeds) attest(run, log, files, say);
  answer({ ...run, log: kept });
  return run.verdict === 'verified' ? 0 : 1;
}

async function verusOr(options, say, answer) {
  try {
    const verus = await findVerus({ path: options.verus, cacheDir: cacheDirectory() });
    const changed = isModified(verus.tools.verus) ? ', built from changed sources' : '';
    say(`Verus ${verus.tools.verus}${changed}: ${verus.command}, from ${verus.from}`);
    return verus;
  } catch (error) {
    if (!(error instanceof NoVerus)) throw error;
    process.stderr.write(`prove: ${error.message}\n`);
    answer({ verdict: 'absent', reason: error.message });
    return null;
  }
}

function keepLog(codec, log) {
  const directory = join(cacheDirectory(), 'verus', 'logs');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${codec}.txt`);
  writeFileSync(file, log);
  return file;
}

function attest(run, log, files, say) {
  const facts = { externalBodies: countTrusted(files), date: new Date() };
  const attestation = attestationOf(run, facts);
  parseAttestation(JSON.stringify(attestation), run.codec);
  say(`attestation: ${relative(root, writeAttestation(attestation, log))}`);
}

function checkMode(options, { say, answer }) {
  const files = readCodec(options.sources);
  const { codec, attestation, problems } = check(files);
  if (options.sources === undefined) problems.push(...checkMutants(files));
  for (const problem of problems) say(problem);
  if (problems.length === 0) {
    const { functions_verified: count, date, tools } = attestation;
    say(`codec ${codec}: ${count} functions verified by Verus ${tools.verus} on ${date}`);
  }
  answer({ verdict: problems.length === 0 ? 'attested' : 'refused', codec, attestation, problems });
  return problems.length === 0 ? 0 : 1;
}

async function installMode(_options, { say, answer }) {
  const { command, tools } = await install({ cacheDir: cacheDirectory(), report: say });
  say(`Verus ${tools.verus} is at ${command}`);
  answer({ command, tools });
  return 0;
}

async function mutateMode(options, { say, answer }) {
  const files = readCodec();
  const wanted = options.only ?? '';
  const mutants = readMutants().filter(({ file, fault }) => `${file}: ${fault}`.includes(wanted));
  const verus = await verusOr(options, say, answer);
  if (verus === null) return 3;
  const whole = await prove({ verus, files, seeds: [0], report: say });
  if (whole.verdict !== 'verified') throw new Error(`the codec itself is not: ${whole.reason}`);
  const begun = performance.now();
  const results = await runMutants({ verus, files, mutants, report: say });
  const seconds = (performance.now() - begun) / 1_000;
  const report = describeMutants({ files, results, tools: verus.tools, seconds });
  if (options.only === undefined) writeFileSync(reportFile(), report);
  const survivors = results.filter(({ outcome }) => outcome !== 'refused');
  for (const { file, fault, outcome } of survivors)
    say(`NOT REFUSED: ${file}: ${fault} (${outcome})`);
  say(
    `${results.length - survivors.length} of ${results.length} refused in ${Math.round(seconds)} s`,
  );
  answer({ refused: results.length - survivors.length, survivors, seconds });
  return survivors.length === 0 && results.length > 0 ? 0 : 1;
}
