/**
 * The fleet's stages with the real compiler, the real aggregator and the real search: one module,
 * measured under the renamed rules of several organizations.
 */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { seededRandom } from '../../bench/workloads/random.ts';
import {
  generateMessage,
  type Workload,
  workloadA,
  workloadB,
} from '../../bench/workloads/workloads.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { ContentStore } from '../../control/store/index.ts';
import { Archive } from '../../evolver/archive.ts';
import { builtinMutator } from '../../evolver/builtin/index.ts';
import { Lineage } from '../../evolver/lineage.ts';
import { FLEET, NO_CONFIGURATION } from '../../workflows/level.ts';
import { benchmarkActivities } from '../benchmark/index.ts';
import { buildActivities } from '../build/index.ts';
import { found, options } from '../executables.fixture.ts';
import { mutateActivities } from '../mutate/index.ts';
import { specializeActivities } from '../specialize/index.ts';
import { StageRecords } from '../stages.ts';
import type { BenchmarkResult, BuildVerdict, CandidateSource, MutateVerdict } from '../types.ts';
import { readFleetCorpus } from './corpus.ts';
import { rename, storeFleetSample } from './sample.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-fleet-stages-'));
const archive = Archive.open(':memory:');
after(async () => {
  archive.close();
  await rm(directory, { recursive: true });
});

const store = new ContentStore(join(directory, 'store'));
const deps = {
  ...{ archive, store, now: Date.now },
  stages: new StageRecords(join(directory, 'stages')),
  lineage: new Lineage(join(directory, 'lineage')),
  mutators: { builtin: builtinMutator() },
  settings: {
    ...{ state: directory, cache: directory, builderKeyFile: '', trustFile: '' },
    ...{ proofPolicy: 'attested' as const, wasi: 'none' as const, attestations: directory },
    ...{ kit: found?.kit ?? null, aggregator: found?.aggregator ?? '' },
  },
  modules: { get: async () => null } as never,
};
const { plan, mutate, admit } = mutateActivities(deps);
const { specialize } = specializeActivities(deps);
const { checkSource, build, checkModule } = buildActivities(deps);
const { benchmark } = benchmarkActivities(deps);
const key = { org: FLEET, generation: 1, rerun: 0 };
const configuration = NO_CONFIGURATION;

function inActivity<T>(run: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment().run(run) as Promise<T>;
}

function sampledOf(org: string, workload: Workload, seed: number) {
  const { digest, blob } = compileConfiguration(org, workload.rules);
  const random = seededRandom(seed);
  const messages = Array.from(
    { length: 24 },
    (_, i) => generateMessage(workload, 1_790_000_000_000 + i * 1_000, random).payload,
  );
  return rename({ digest, blob }, messages);
}

async function proposed(generation: number, given: Given): Promise<CandidateSource[]> {
  const own = { ...key, generation };
  const { specialization, corpus, profile, messages } = given;
  const planned = await plan({
    ...{ ...own, configuration, specialization, profile, candidates: 2, mutator: 'builtin' },
  });
  const candidates: CandidateSource[] = [];
  for (const { index, mutator } of planned.slots) {
    const siblings = candidates.map(({ source }) => source);
    const input = { ...own, plan: planned.plan, index, mutator, siblings };
    const verdict = await inActivity<MutateVerdict>(() => mutate(input));
    if (verdict.verdict === 'proposed') candidates.push(verdict.candidate);
  }
  const made = { schema: 1, configuration: configuration.digest, corpus, profile, messages };
  const inputs = { ...made, specialization, candidates };
  await admit({ ...own, configuration, missing: [], inputs });
  return candidates;
}

type Given = Awaited<ReturnType<typeof prepare>>;

async function prepare() {
  const sampled = [sampledOf('acme', workloadA(3), 4), sampledOf('globex', workloadB(5), 6)];
  const sample = await storeFleetSample(store, sampled);
  return { ...sample, specialization: await specialize({ ...key, configuration }) };
}

async function built({ id, source }: CandidateSource, given: Given) {
  const { corpus } = given;
  const request = { ...key, candidate: id, source, spec: given.specialization.spec, corpus };
  assert.deepEqual(await checkSource(request), { verdict: 'pass' });
  const made = await inActivity<BuildVerdict>(() => build(request));
  assert.equal(made.verdict, 'built', JSON.stringify(made));
  if (made.verdict !== 'built') throw new Error('unreachable');
  const module = { ...key, candidate: id, component: made.component };
  assert.equal((await checkModule(module)).verdict, 'pass');
  return { id, component: made.component };
}

test('one module is right for every organization, and may hold no word of any', {
  ...options,
  timeout: 600_000,
}, async () => {
  const given = await prepare();
  const [first] = await proposed(1, given);
  assert.ok(first !== undefined);
  archive.recordVerdict(first.id, { gate: 'benchmark', passed: true, verdict: 'timed', atMs: 1 });
  archive.recordResult(first.id, { ratioToBaseline: 1 });
  const later = await proposed(2, given);
  assert.ok(later.length > 0, 'the search proposes without rules and keys');
  const candidates = [];
  for (const each of [first, ...later]) candidates.push(await built(each, given));
  const { corpus } = given;
  const contest = { ...{ ...key, configuration, corpus, candidates, incumbent: null } };
  const result = await inActivity<BenchmarkResult>(() =>
    benchmark({ ...contest, seconds: 2, promotion_ratio: 1.1 }),
  );
  for (const verdict of result.candidates) {
    assert.ok('ratio' in verdict, `${verdict.id}: ${JSON.stringify(verdict)}`);
  }
  const evidence = await store.getText(result.evidence);
  for (const name of ['svc-', 'cpu.usage', 'acme']) assert.ok(!evidence.includes(name), name);
  await refuses(first, given);
});

async function refuses(first: CandidateSource, given: Given): Promise<void> {
  const { words } = await readFleetCorpus(store, given.corpus.fit);
  const list = JSON.parse(await store.getText(words)) as string[];
  assert.ok(list.includes('cpu.usage') && list.includes('svc-7'));
  const text = await store.getText(first.source);
  const renamed = list.find((word) => word.length > 6 && !text.includes(word)) ?? '';
  for (const word of ['cpu.usage', renamed]) {
    const knowing = `${text}\nconst KNOWN: &[u8] = ${JSON.stringify(word)}.as_bytes();\n`;
    const source = await store.put(knowing, 'text/x-rust');
    const request = { ...key, candidate: first.id, source, spec: given.specialization.spec };
    const refused = await checkSource({ ...request, corpus: given.corpus });
    assert.ok(refused.verdict === 'refused' && refused.rule === 'traffic-literal', word);
    assert.deepEqual(await checkSource(request), { verdict: 'pass' }, 'no rule of tenants');
  }
}
