import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codecDigest } from '../lib/codec.mjs';
import { proofs } from './attestation.mjs';
import { batchesOf, broken, moduleOf, problemOf } from './batches.mjs';
import { runVerus } from './verus.mjs';
import { inParallel, withWorkspace } from './workspace.mjs';

const timeoutMs = 15 * 60_000;
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
 * Breaks the sources in one place after the other. Resolves with [{file, fault, outcome, problem}]:
 * `refused` is what should be, `verified` is a fault that the proofs do not see. Faults in
 * different functions share a run; one that such a run does not refuse has runs of its own, over
 * its module, and then over the whole crate.
 */
export async function runMutants({ verus, files, mutants, env, report = () => {} }) {
  const results = new Map();
  const settle = (mutant, { outcome, problem }) => {
    results.set(mutant, { file: mutant.file, fault: mutant.fault, outcome, problem });
    report(`${results.size}/${mutants.length} ${outcome} ${mutant.file}: ${mutant.fault}`);
  };
  await inParallel(batchesOf(mutants, files), width, async (batch) => {
    for (const { mutant, problem } of await runBatch({ verus, files, batch, env })) {
      settle(mutant, { outcome: 'refused', problem });
    }
  });
  const rest = mutants.filter((mutant) => !results.has(mutant));
  await inParallel(rest, width, async (mutant) => {
    settle(mutant, await runAlone({ verus, files, mutant, env }));
  });
  return mutants.map((mutant) => results.get(mutant));
}

/** Those of a batch that are refused: [{mutant, problem}]. */
async function runBatch({ verus, files, batch, env }) {
  const sources = broken(files, batch);
  const modules = [...new Set(batch.map(({ mutant }) => moduleOf(mutant.file)))];
  return withWorkspace(sources, async (directory) => {
    const result = await runVerus(verus, directory, { seed: 0, timeoutMs, env, modules });
    if (result.outcome !== 'refused') return [];
    return batch
      .map((part) => ({ mutant: part.mutant, problem: problemOf(part, sources, result) }))
      .filter(({ problem }) => problem !== null);
  });
}

async function runAlone({ verus, files, mutant, env }) {
  return withWorkspace(broken(files, [{ mutant }]), async (directory) => {
    const options = { seed: 0, timeoutMs, env };
    const modules = [moduleOf(mutant.file)];
    const alone = await runVerus(verus, directory, { ...options, modules });
    return alone.outcome === 'verified' ? runVerus(verus, directory, options) : alone;
  });
}

/** The table that is committed. */
export function describeMutants({ files, results, tools, seconds }) {
  const refused = results.filter(({ outcome }) => outcome === 'refused').length;
  const rows = results.map(({ file, fault, outcome, problem }) => {
    const what = outcome === 'verified' ? '**SURVIVED**' : `${outcome}: ${reason(problem)}`;
    return `| ${file} | ${fault} | ${what} |`;
  });
  return [
    '# Proof mutation test',
    '',
    'Written by `npm run prove -- --mutate`; the faults are those of `mutants.json`. Each breaks',
    'one place of the codec, and Verus must refuse it. A fault whose name begins with *reachable*',
    'claims `false` there instead: were it verified, what is known at that place would contradict',
    'itself, and prove anything.',
    '',
    `${refused} of ${results.length} refused, in ${Math.round(seconds)} s on two cores.`,
    `Codec ${codecDigest(files)}, Verus ${tools.verus}.`,
    '',
    '| file | fault | outcome |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function reason(problem) {
  return String(problem)
    .replace(/^error(\[\w+\])?: /, '')
    .replaceAll('|', '\\|');
}
