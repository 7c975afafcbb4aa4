/**
 * A search without servers: generations through the real activities on a real archive, store and
 * lineage. It goes on where a killed one stopped, as a workflow would: activities that had not
 * answered are called again. Each step is a line on standard output.
 *
 * Scored by `table`, a function of the source's digest, or by `fuel`: candidates are built and run
 * in the sandbox, and the fuel of a point counts, which is the same on every machine.
 *
 *     node --import tsx activities/resume.fixture.ts <directory> <generations> <table|fuel>
 */
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { seededRandom } from '../bench/workloads/random.ts';
import { generateMessage, type Workload, workloadB } from '../bench/workloads/workloads.ts';
import { compileConfiguration } from '../control/configuration/index.ts';
import { ContentStore, sha256 } from '../control/store/index.ts';
import { Archive } from '../evolver/archive.ts';
import { builtinMutator } from '../evolver/builtin/index.ts';
import { Lineage } from '../evolver/lineage.ts';
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import type { CandidateOutcome } from '../workflows/messages.ts';
import { mutateActivities } from './mutate/index.ts';
import { recordActivities } from './record/index.ts';
import { byFuel, type Score } from './resume.fuel.ts';
import { storeSample } from './sample/index.ts';
import { specializeActivities } from './specialize/index.ts';
import { StageRecords } from './stages.ts';
import type {
  CandidateSource,
  GateRecord,
  GenerationInputs,
  GenerationKey,
  MutateVerdict,
} from './types.ts';

const [directory = '', count = '0', scored = 'table'] = process.argv.slice(2);
/** So that few generations have many candidates, and migrants. */
const SEARCH = { ...DEFAULT_SEARCH, migrate_every: 2, growth: 4 };
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
const workload = scored === 'fuel' ? small(workloadB(1)) : workloadB(1);
const compiled = compileConfiguration('acme', workload.rules);
const configuration = {
  ...{ digest: compiled.digest, rules: compiled.rules.length, effective_from_ms: 0 },
  blob: await store.put(compiled.blob, 'application/octet-stream'),
};

/** Few rules are built quickly. */
function small({ rules, ...rest }: Workload): Workload {
  return { ...rest, rules: rules.slice(0, 8) };
}

function step(name: string): void {
  process.stdout.write(`${name}\n`);
}

/** Ratios from 0.7 to 3.2, and one source in seven that does not compile. */
function measured(source: string): number | null {
  const number = Number.parseInt(source.slice(0, 8), 16);
  return number % 7 === 0 ? null : 0.7 + (number % 1_000) / 400;
}

async function scoresOf(
  key: GenerationKey,
  sources: CandidateSource[],
  inputs: Pick<GenerationInputs, 'specialization' | 'corpus'>,
): Promise<Score[]> {
  if (scored === 'fuel') {
    const { spec } = inputs.specialization;
    return await byFuel(deps, { key, configuration, sources, spec, corpus: inputs.corpus }, step);
  }
  return sources.map(({ source: { digest } }) => {
    const ratio = measured(digest);
    return { ratio, module: ratio === null ? null : sha256(digest) };
  });
}

function outcomeOf(
  { id, index, mutator, operator }: CandidateSource,
  { ratio, module }: Score,
): CandidateOutcome {
  return {
    ...{ id, index, mutator, operator, reason: null, build_seconds: null, ratio },
    state: ratio === null ? 'rejected' : 'open',
    gate: ratio === null ? 'build' : 'benchmark',
    verdict: ratio === null ? 'compile-error' : 'faster',
    module,
    ci95: ratio === null ? null : [ratio - 0.1, ratio + 0.1],
    ratio_to_baseline: ratio,
  };
}

const messages = Array.from({ length: 24 }, (_, at) => {
  return generateMessage(workload, 1_700_000_000_000 + 1_000 * at, seededRandom(at)).payload;
});
const { corpus, profile } = await storeSample(store, configuration, messages);

async function propose(generation: number): Promise<GenerationInputs> {
  const key = { org: 'acme', generation, rerun: 0 };
  const specialization = await specialize({ ...key, configuration });
  const planned = await plan({
    ...{ ...key, configuration, specialization, profile, corpus, messages: 1 },
    ...{ candidates: 4, mutator: 'all', search: SEARCH },
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
    step(`proposed ${index}`);
  }
  const made = { schema: 1, configuration: configuration.digest, corpus, profile, messages: 1 };
  const inputs = { ...made, specialization, candidates, plan: planned };
  await admit({ ...key, configuration, inputs, missing });
  step('admitted');
  return inputs;
}

async function finish(generation: number, inputs: GenerationInputs): Promise<void> {
  const key = { org: 'acme', generation, rerun: 0, configuration };
  const { candidates: sources } = inputs;
  const scores = await scoresOf(key, sources, inputs);
  step('scored');
  const candidates = sources.map((source, at) => outcomeOf(source, scores[at] as Score));
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
  step(`generation ${next}`);
  await finish(next, await propose(next));
}
archive.close();
