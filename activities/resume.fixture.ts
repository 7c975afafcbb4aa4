/**
 * A search without servers: generations through the real activities on a real archive, store and
 * lineage, measured by a table (a function of the source's digest). It goes on where a killed one
 * stopped, as a workflow would: activities that had not answered are called again. Each step is a
 * line on standard output.
 *
 *     node --import tsx activities/resume.fixture.ts <directory> <generations>
 */
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { workloadB } from '../bench/workloads/workloads.ts';
import { compileConfiguration } from '../control/configuration/index.ts';
import { ContentStore, sha256 } from '../control/store/index.ts';
import { Archive } from '../evolver/archive.ts';
import { builtinMutator } from '../evolver/builtin/index.ts';
import { Lineage } from '../evolver/lineage.ts';
import { UNKNOWN_TRAFFIC } from '../evolver/profile.ts';
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import type { CandidateOutcome } from '../workflows/messages.ts';
import { mutateActivities } from './mutate/index.ts';
import { recordActivities } from './record/index.ts';
import { specializeActivities } from './specialize/index.ts';
import { StageRecords } from './stages.ts';
import type { CandidateSource, GateRecord, MutateVerdict } from './types.ts';

const [directory = '', count = '0'] = process.argv.slice(2);
const archive = Archive.open(join(directory, 'archive.sqlite'));
const store = new ContentStore(join(directory, 'store'));
const deps = {
  ...{ archive, store, now: () => 1 },
  lineage: new Lineage(join(directory, 'lineage')),
  stages: new StageRecords(join(directory, 'stages')),
  mutators: { builtin: builtinMutator() },
};
const { plan, mutate, admit } = mutateActivities(deps);
const { record, commit, conclude } = recordActivities(deps);
const { specialize } = specializeActivities(deps);
const compiled = compileConfiguration('acme', workloadB(1).rules);
const configuration = {
  ...{ digest: compiled.digest, rules: compiled.rules.length, effective_from_ms: 0 },
  blob: await store.put(compiled.blob, 'application/octet-stream'),
};

function step(name: string): void {
  process.stdout.write(`${name}\n`);
}

/** Ratios from 0.7 to 3.2, and one source in seven that does not compile. */
function measured(source: string): number | null {
  const number = Number.parseInt(source.slice(0, 8), 16);
  return number % 7 === 0 ? null : 0.7 + (number % 1_000) / 400;
}

function outcomeOf({ id, index, mutator, operator, source }: CandidateSource): CandidateOutcome {
  const ratio = measured(source.digest);
  return {
    ...{ id, index, mutator, operator, reason: null, build_seconds: null, ratio },
    state: ratio === null ? 'rejected' : 'open',
    gate: ratio === null ? 'build' : 'benchmark',
    verdict: ratio === null ? 'compile-error' : 'faster',
    module: ratio === null ? null : sha256(source.digest),
    ci95: ratio === null ? null : [ratio - 0.1, ratio + 0.1],
    ratio_to_baseline: ratio,
  };
}

async function propose(generation: number): Promise<CandidateSource[]> {
  const key = { org: 'acme', generation, rerun: 0 };
  const profile = await store.put(JSON.stringify(UNKNOWN_TRAFFIC), 'application/json');
  const specialization = await specialize({ ...key, configuration });
  const corpus = { fit: profile, check: profile };
  const planned = await plan({
    ...{ ...key, configuration, specialization, profile, corpus, messages: 1 },
    ...{ candidates: 4, mutator: 'all', search: { ...DEFAULT_SEARCH, migrate_every: 2 } },
  });
  step('planned');
  const candidates: CandidateSource[] = [];
  const missing: { index: number; mutator: string; reason: string }[] = [];
  for (const { index, mutator } of planned.slots) {
    const siblings = candidates.map(({ source }) => source);
    const input = { ...key, plan: planned.plan, index, mutator, siblings };
    const run = () => mutate(input);
    const verdict = (await new MockActivityEnvironment().run(run)) as MutateVerdict;
    if (verdict.verdict === 'proposed') candidates.push(verdict.candidate);
    else missing.push({ index, mutator, reason: verdict.reason });
    step('proposed');
  }
  const made = { schema: 1, configuration: configuration.digest, corpus, profile, messages: 1 };
  const inputs = { ...made, specialization, candidates, plan: planned };
  await admit({ ...key, configuration, inputs, missing });
  step('admitted');
  return candidates;
}

async function finish(generation: number, sources: CandidateSource[]): Promise<void> {
  const key = { org: 'acme', generation, rerun: 0, configuration };
  const candidates = sources.map(outcomeOf);
  const answers = candidates.map(({ id, gate, verdict, ratio }): GateRecord => {
    const passed = ratio !== null;
    const none = { reason: null, evidence: null, seconds: null };
    return { candidate: id, gate: gate ?? 'build', passed, verdict: verdict ?? '', ...none };
  });
  const { spec, seed } = await specialize(key);
  const request = { ...key, spec, at_ms: generation * 60_000, candidates };
  await record({ ...request, answers, commits_later: true });
  step('recorded');
  const best = candidates.find(({ ratio }) => ratio !== null && ratio > 2);
  const outcome = best === undefined ? 'no-improvement' : 'passed';
  const made = await commit({ ...request, seed, winner: best?.id ?? null, outcome });
  step('committed');
  const end = { outcome: 'no-improvement' as const, detail: null, promoted: null };
  await conclude({ ...key, ...end, commit: made.commit, answers: [], candidates });
  step('concluded');
}

const newest = archive.newestGeneration('acme');
const unfinished = archive.generation(`acme/gen/${newest}`)?.outcome === 'running';
step('started');
for (let next = unfinished ? newest : newest + 1; next <= Number(count); next++) {
  await finish(next, await propose(next));
}
archive.close();
