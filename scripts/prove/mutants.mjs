import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codecDigest } from '../lib/codec.mjs';
import { proofs } from './attestation.mjs';
import { runVerus } from './verus.mjs';
import { inParallel, withWorkspace } from './workspace.mjs';

const timeoutMs = 5 * 60_000;
const width = 2;
const folder = 'guest/codec/src';
/** Fewer would not say much. */
const leastMutants = 40;

export function reportFile(home = proofs) {
  return join(home, 'mutants.md');
}

/** The seeded faults: [{file, fault, old, new}], where `file` is below the codec's sources. */
export function readMutants(home = proofs) {
  const file = join(home, 'mutants.json');
  const list = JSON.parse(readFileSync(file, 'utf8'));
  const fields = ['file', 'fault', 'old', 'new'];
  const bad = list.findIndex((mutant) => fields.some((name) => typeof mutant[name] !== 'string'));
  if (bad !== -1) throw new Error(`${file}: entry ${bad} is not {${fields.join(', ')}}`);
  return list;
}

/** A list that is not true to the sources proves nothing: whatever is stale is named. */
export function mutantProblems(mutants, files, report) {
  const problems = [];
  if (mutants.length < leastMutants) problems.push(`${mutants.length} mutants are too few`);
  const rows = new Set(report.split('\n').map((line) => line.split(' | ').slice(0, 2).join(' | ')));
  const names = new Set();
  for (const mutant of mutants) {
    const name = `${mutant.file}: ${mutant.fault}`;
    const found = occurrences(files.get(`${folder}/${mutant.file}`), mutant.old);
    if (found !== 1) problems.push(`mutant ${name}: the text to break occurs ${found} times`);
    if (mutant.old === mutant.new) problems.push(`mutant ${name}: changes nothing`);
    if (names.has(name)) problems.push(`mutant ${name}: is there twice`);
    names.add(name);
    if (!rows.has(`| ${mutant.file} | ${mutant.fault}`)) {
      problems.push(`mutant ${name}: not in mutants.md; run \`npm run prove -- --mutate\``);
    }
  }
  if (/\| (\*\*SURVIVED|broken)/.test(report))
    problems.push('mutants.md: not every mutant is refused');
  return problems;
}

function occurrences(bytes, text) {
  return bytes === undefined || text === '' ? 0 : bytes.toString().split(text).length - 1;
}

/**
 * Breaks the sources in one place after the other. Resolves with [{file, fault, outcome, problem,
 * seconds}]: `refused` is what should be, `verified` is a fault that the proofs do not see.
 * A mutant is refused when its own module is; only one that is not needs the whole crate.
 */
export async function runMutants({ verus, files, mutants, env, report = () => {} }) {
  let done = 0;
  return inParallel(mutants, width, async (mutant) => {
    const result = await runMutant({ verus, files, mutant, env });
    done += 1;
    const line = `${result.outcome} ${mutant.file}: ${mutant.fault}`;
    report(`${done}/${mutants.length} ${line} (${result.seconds.toFixed(1)} s)`);
    return { file: mutant.file, fault: mutant.fault, ...result };
  });
}

async function runMutant({ verus, files, mutant, env }) {
  const name = `${folder}/${mutant.file}`;
  const text = files.get(name).toString().split(mutant.old).join(mutant.new);
  const broken = new Map(files).set(name, Buffer.from(text));
  return withWorkspace(broken, async (directory) => {
    const module = moduleOf(mutant.file);
    const options = { seed: 0, timeoutMs, env };
    const alone = await runVerus(verus, directory, { ...options, module });
    if (alone.outcome !== 'verified') return pick(alone, 0);
    return pick(await runVerus(verus, directory, options), alone.seconds);
  });
}

function pick({ outcome, problem, seconds }, before) {
  return { outcome, problem, seconds: before + seconds };
}

/** `payload/message.rs` is the module `payload::message`. */
function moduleOf(file) {
  return file.replace(/\.rs$/, '').replaceAll('/', '::');
}

/** The table that is committed. */
export function describeMutants({ files, results, tools, seconds }) {
  const refused = results.filter(({ outcome }) => outcome === 'refused').length;
  const rows = results.map(({ file, fault, outcome, problem, seconds: took }) => {
    const what = outcome === 'verified' ? '**SURVIVED**' : `${outcome}: ${reason(problem)}`;
    return `| ${file} | ${fault} | ${what} | ${took.toFixed(1)} |`;
  });
  return [
    '# Proof mutation test',
    '',
    'Written by `npm run prove -- --mutate`; the faults are those of `mutants.json`. Each breaks',
    'one place of the codec, and Verus must refuse it. A fault whose name begins with *reachable*',
    'claims `false` there instead: were it verified, what is known at that place would contradict',
    'itself, and prove anything.',
    '',
    `${refused} of ${results.length} refused, in ${Math.round(seconds)} s, two at a time.`,
    `Codec ${codecDigest(files)}, Verus ${tools.verus}.`,
    '',
    '| file | fault | outcome | seconds |',
    '| --- | --- | --- | ---: |',
    ...rows,
    '',
  ].join('\n');
}

function reason(problem) {
  return String(problem)
    .replace(/^error(\[\w+\])?: /, '')
    .replaceAll('|', '\\|');
}
