/**
 * A generation with one slot for a model, as tests run it: planned, asked over the real API's
 * protocol, tried by the real compiler and benchmark or by scripted ones, repaired, admitted.
 */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import Database from 'better-sqlite3';
import { seededRandom } from '../../bench/workloads/random.ts';
import { generateMessage, workloadA } from '../../bench/workloads/workloads.ts';
import { compileConfiguration, type RuleInput } from '../../control/configuration/index.ts';
import { ContentStore } from '../../control/store/index.ts';
import { Archive } from '../../evolver/archive.ts';
import { Lineage } from '../../evolver/lineage.ts';
import { Journal, modelMutator, parseLlmSettings } from '../../evolver/llm/index.ts';
import { costOf } from '../../evolver/llm/prices.ts';
import { MODEL, QUICK_RETRY } from '../../evolver/llm/test/rig.ts';
import { messagesServer, type Script } from '../../evolver/llm/test/server.ts';
import { seedRandom } from '../../evolver/random.ts';
import type { Answers } from '../../workflows/messages.ts';
import { proposeWithRepairs, type TrialStages } from '../../workflows/repairs.ts';
import { benchmarkActivities } from '../benchmark/index.ts';
import { buildActivities } from '../build/index.ts';
import { found } from '../executables.fixture.ts';
import { recordActivities } from '../record/index.ts';
import { encodeCorpus, splitCorpus } from '../sample/corpus.ts';
import { profileTraffic } from '../sample/profile.ts';
import { specializeActivities } from '../specialize/index.ts';
import { StageRecords } from '../stages.ts';
import type { BenchmarkResult, BenchmarkVerdict, BuildVerdict, MutateVerdict } from '../types.ts';
import { mutateActivities } from './index.ts';

function inActivity<T>(run: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment().run(run) as Promise<T>;
}

export const key = { org: 'acme', generation: 2, rerun: 0 };
export const ID = 'acme/gen/2/c0';

export interface Scene {
  scripted: Script;
  settings?: Record<string, unknown>;
  /** Instead of the real compiler and benchmark. */
  stages?: (store: ContentStore) => Omit<TrialStages, 'mutate'>;
  rules?: RuleInput[];
}

/** A generation with one slot, for a model; the first form was measured before it. */
export async function generation(context: TestContext, scene: Scene) {
  const opened = await openScene(context, scene);
  return { ...opened, ...(await attempt(opened)) };
}

export async function openScene(context: TestContext, scene: Scene) {
  const directory = await mkdtemp(join(tmpdir(), 'ratchet-models-'));
  const server = await messagesServer(context, scene.scripted);
  const settings = parseLlmSettings(
    JSON.stringify({
      ...{ base_url: server.url, retry: QUICK_RETRY, models: [{ id: MODEL }] },
      ...scene.settings,
    }),
  );
  const archive = Archive.open(join(directory, 'archive.sqlite'));
  const journal = Journal.open(join(directory, 'llm.sqlite'));
  context.after(async () => {
    archive.close();
    journal.close();
    await rm(directory, { recursive: true, force: true });
  });
  const store = new ContentStore(join(directory, 'store'));
  const lineage = new Lineage(join(directory, 'lineage'));
  const { key: apiKey } = server;
  const llm = modelMutator({ apiKey, settings, journal, documents: store, archive, lineage });
  const deps = {
    ...{ archive, store, lineage, mutators: { llm }, now: Date.now },
    stages: new StageRecords(join(directory, 'stages')),
    modules: { get: async () => null } as never,
    settings: {
      ...{ state: directory, cache: directory, builderKeyFile: '', trustFile: '' },
      ...{ proofPolicy: 'attested' as const, wasi: 'none' as const, attestations: directory },
      ...{ kit: found?.kit ?? null, aggregator: found?.aggregator ?? '' },
    },
  };
  const given = await traffic(store, scene.rules);
  const { specialize } = specializeActivities(deps);
  const specialization = await specialize({ ...key, configuration: given.configuration });
  measured(archive, given.configuration.digest, specialization.seed.digest);
  const mutating = mutateActivities(deps);
  const plan = await mutating.plan({
    ...{ ...key, ...given, specialization, candidates: 1, mutator: 'llm', messages: 48 },
  });
  assert.equal(plan.slots[0]?.mutator, 'llm');
  const stages: TrialStages = {
    mutate: (input) => inActivity<MutateVerdict>(() => mutating.mutate(input)),
    ...(scene.stages?.(store) ?? realStages(deps)),
  };
  const made = { directory, server, settings, archive, journal, store };
  const recording = recordActivities(deps);
  return { ...made, given, specialization, plan, mutating, stages, recording, deps };
}

export type Opened = Awaited<ReturnType<typeof openScene>>;

/** The slot is filled, with repairs, and admitted. */
export async function attempt(opened: Opened, rerun = 0, answers?: Answers) {
  const { given, specialization, plan, mutating, stages } = opened;
  const { configuration, corpus, profile } = given;
  const { spec } = specialization;
  const own = { ...key, rerun };
  const asked = { plan: plan.plan, index: 0, mutator: 'llm' as const, siblings: [] };
  const repaired = await proposeWithRepairs(
    stages,
    { ...own, ...asked, ...(answers && { answers }) },
    { configuration, corpus, incumbent: null, spec, promotion_ratio: 1.1 },
  );
  const { proposal, attempts } = repaired;
  // What clocks decide is left out of what is compared.
  if (proposal.verdict === 'proposed' && proposal.candidate.cost) {
    proposal.candidate.cost.seconds = 0;
  }
  const candidates = proposal.verdict === 'proposed' ? [proposal.candidate] : [];
  const { arm = null } = plan.slots[0] ?? {};
  const missing =
    proposal.verdict === 'none' ? [{ index: 0, mutator: 'llm', arm, ...proposal }] : [];
  await mutating.admit({
    ...{ ...own, configuration, missing, attempts: { 0: attempts } },
    inputs: {
      ...{ schema: 1, configuration: configuration.digest, messages: 48 },
      ...{ corpus, profile, specialization, candidates },
    },
  });
  return { proposal, attempts };
}

/** The same generation again, from its plan: the models are asked, or their record is. */
export async function again(made: Opened, rerun: number, answers: Answers) {
  const { given, plan, mutating } = made;
  if (plan.inputs === undefined) throw new Error('the plan kept no inputs');
  await mutating.readmit({
    ...{ ...key, rerun, configuration: given.configuration },
    ...{ inputs: plan.inputs, again: 'mutate' },
  });
  return await attempt(made, rerun, answers);
}

export type Made = Awaited<ReturnType<typeof generation>>;

async function traffic(store: ContentStore, rules?: RuleInput[]) {
  const workload = workloadA(11);
  const compiled = compileConfiguration('acme', rules ?? workload.rules);
  const random = seededRandom(12);
  const messages = Array.from(
    { length: 48 },
    (_, i) => generateMessage(workload, 1_790_000_000_000 + i * 1_000, random).payload,
  );
  const { fit, check } = splitCorpus(messages);
  const put = (bytes: Uint8Array | string) => store.put(bytes, 'application/octet-stream');
  return {
    configuration: {
      ...{ digest: compiled.digest, rules: compiled.rules.length, effective_from_ms: 0 },
      blob: await put(compiled.blob),
    },
    corpus: { fit: await put(encodeCorpus(fit)), check: await put(encodeCorpus(check)) },
    profile: await put(JSON.stringify(profileTraffic(messages, compiled.rules))),
  };
}

/** Generation 1: the first form alone, slow enough that nothing right is slower. */
function measured(archive: Archive, configuration: string, source: string): void {
  const [id, random] = ['acme/gen/1', seedRandom('one')];
  archive.startGeneration({ id, configuration, parent: null, random, startedAtMs: 1 });
  const who = { mutator: 'specialise', operator: 'seed', parent: null } as const;
  archive.recordCandidate({ id: `${id}/c0`, source, ...who, createdAtMs: 1 });
  archive.recordResult(`${id}/c0`, { ratioToBaseline: 0.01 });
  const verdict = { gate: 'benchmark', passed: false, verdict: 'slow', atMs: 1 };
  archive.recordVerdict(`${id}/c0`, verdict);
}

type Deps = Parameters<typeof buildActivities>[0] & Parameters<typeof benchmarkActivities>[0];

function realStages(deps: Deps): Omit<TrialStages, 'mutate'> {
  const { checkSource, build, checkModule } = buildActivities(deps);
  const { benchmark } = benchmarkActivities(deps);
  return {
    checkSource,
    build: (input) => inActivity<BuildVerdict>(() => build(input)),
    checkModule: (candidate, component) => checkModule({ ...key, candidate, component }),
    benchmark: async ({ candidate: id, component, spec: _, ...trial }) => {
      const input = { ...key, ...trial, candidates: [{ id, component }], trial: true as const };
      const result = await inActivity<BenchmarkResult>(() => benchmark(input));
      return result.candidates[0] as BenchmarkVerdict;
    },
  };
}

/** The parent, as the model was shown it. */
export function parentIn(asked: Parameters<Script>[0]): string {
  const text = String(asked.messages[0]?.content);
  const shown = /label="parent: aggregate.rs">\n([\s\S]*?)\n<\/data-/.exec(text)?.[1];
  assert.ok(shown !== undefined, 'the parent is in the prompt');
  return `${shown}\n`;
}

/** Micro-dollars. */
export function billed({ server, settings }: Opened): number {
  const tariffs = [...settings.models, settings.subModel];
  const costs = server.billed.map(({ model, usage }) => {
    const tariff = tariffs.find(({ id }) => id === model);
    return tariff === undefined ? Number.NaN : costOf(tariff, usage);
  });
  return costs.reduce((sum, cost) => sum + cost, 0);
}

export function billedTokens({ server }: Opened): number {
  const tokens = server.billed.map(({ usage: { input, cacheWrite, cacheRead, output } }) => {
    return input + cacheWrite + cacheRead + output;
  });
  return tokens.reduce((sum, each) => sum + each, 0);
}

export function charged({ archive, proposal, attempts }: Made): number {
  const own = archive.candidate(ID)?.cost.usd ?? 0;
  const none = proposal.verdict === 'none' ? (proposal.cost?.micro_usd ?? 0) : 0;
  return Math.round(own * 1e6) + none + attempts.reduce((sum, each) => sum + each.micro_usd, 0);
}

/** Everything in an archive but times, and what depends on clocks. */
export function dump(directory: string): unknown {
  const database = new Database(join(directory, 'archive.sqlite'), { readonly: true });
  try {
    const tables = database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .pluck()
      .all() as string[];
    return tables.map((table) => [
      table,
      database
        .prepare(`SELECT * FROM ${table}`)
        .all()
        .map((row) => Object.entries(row as object).filter(([name]) => !/_ms$|seconds/.test(name))),
    ]);
  } finally {
    database.close();
  }
}

/** As the compiler and the benchmark would say, by what stands in the source. */
export function scriptedStages(store: ContentStore): Omit<TrialStages, 'mutate'> {
  return {
    checkSource: async () => ({ verdict: 'pass' }),
    build: async ({ source }) => {
      const text = await store.getText(source);
      if (!text.includes('broken')) {
        return { verdict: 'built', component: source, linked: source, seconds: 1 };
      }
      const log = await store.put('error[E0425]: not found\n --> aggregate.rs:9:1', 'text/plain');
      return { verdict: 'compile-error', reason: 'error[E0425]', log, seconds: 1 };
    },
    checkModule: async () => ({ verdict: 'pass' }),
    benchmark: async ({ candidate: id, component }) => {
      if ((await store.getText(component)).includes('42.0')) {
        return { id, verdict: 'diverged', reason: 'message 0, rule a: expected 1, got 42' };
      }
      return {
        ...{ id, verdict: 'faster', ratio: 2, ci95: [2, 2], ratio_to_baseline: 2 },
        ...{ us_per_message: 1, fuel_per_point: 1 },
      };
    },
  };
}
