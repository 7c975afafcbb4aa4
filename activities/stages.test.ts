/**
 * From rules and captured messages to timed candidates, with the real compiler, the real aggregator
 * and the real search: every stage between sampling and the shadow.
 */

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { seededRandom } from '../bench/workloads/random.ts';
import { generateMessage, workloadA } from '../bench/workloads/workloads.ts';
import { compileConfiguration } from '../control/configuration/index.ts';
import { attestationsDirectory } from '../control/stack/options.ts';
import { ContentStore } from '../control/store/index.ts';
import { Archive } from '../evolver/archive.ts';
import { builtinMutator } from '../evolver/builtin/index.ts';
import { Lineage } from '../evolver/lineage.ts';
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import type { Ref } from '../workflows/messages.ts';
import { benchmarkActivities } from './benchmark/index.ts';
import { buildActivities } from './build/index.ts';
import { found, options } from './executables.fixture.ts';
import { mutateActivities } from './mutate/index.ts';
import { proveActivities } from './prove/index.ts';
import { encodeCorpus, splitCorpus } from './sample/corpus.ts';
import { profileTraffic } from './sample/profile.ts';
import { specializeActivities } from './specialize/index.ts';
import { StageRecords } from './stages.ts';
import type {
  BenchmarkResult,
  BuildVerdict,
  CandidateSource,
  MutateVerdict,
  ProveResult,
  Specialization,
} from './types.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-stages-'));
const archive = Archive.open(':memory:');
after(async () => {
  archive.close();
  await rm(directory, { recursive: true });
});

const store = new ContentStore(join(directory, 'store'));
const stages = new StageRecords(join(directory, 'stages'));
const deps = {
  ...{ archive, store, stages, now: Date.now },
  lineage: new Lineage(join(directory, 'lineage')),
  mutators: { builtin: builtinMutator() },
  settings: {
    ...{ state: directory, cache: directory, builderKeyFile: '', trustFile: '' },
    ...{
      proofPolicy: 'attested' as const,
      wasi: 'none' as const,
      attestations: join(directory, 'attestations'),
    },
    ...{ kit: found?.kit ?? null, aggregator: found?.aggregator ?? '' },
  },
  modules: { get: async () => null } as never,
};
const { plan, mutate, admit } = mutateActivities(deps);
const { specialize } = specializeActivities(deps);
const { checkSource, build, checkModule } = buildActivities(deps);
const { benchmark } = benchmarkActivities(deps);
const key = { org: 'acme', generation: 1, rerun: 0 };

function inActivity<T>(run: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment().run(run) as Promise<T>;
}

async function traffic() {
  const workload = workloadA(11);
  const compiled = compileConfiguration('acme', workload.rules);
  const random = seededRandom(12);
  const messages = Array.from(
    { length: 48 },
    (_, i) => generateMessage(workload, 1_790_000_000_000 + i * 1_000, random).payload,
  );
  const { fit, check } = splitCorpus(messages);
  return {
    configuration: {
      ...{ digest: compiled.digest, rules: compiled.rules.length, effective_from_ms: 0 },
      blob: await store.put(compiled.blob, 'application/octet-stream'),
    },
    corpus: {
      fit: await store.put(encodeCorpus(fit), 'application/octet-stream'),
      check: await store.put(encodeCorpus(check), 'application/octet-stream'),
    },
    profile: await store.put(
      JSON.stringify(profileTraffic(messages, compiled.rules)),
      'application/json',
    ),
  };
}

/** The first form, and what is proposed once it was timed. */
async function proposals(given: Awaited<ReturnType<typeof traffic>>) {
  const specialization = await specialize({ ...key, configuration: given.configuration });
  const first = await generationOf(given, specialization, 1);
  const [seed] = first;
  archive.recordVerdict(seed?.id ?? '', { ...passed, gate: 'benchmark' });
  archive.recordResult(seed?.id ?? '', { ratioToBaseline: 1.2 });
  return {
    specialization,
    candidates: [...first, ...(await generationOf(given, specialization, 2))],
  };
}

const passed = { passed: true, verdict: 'pass', atMs: 1 };

async function generationOf(
  given: Awaited<ReturnType<typeof traffic>>,
  specialization: Specialization,
  generation: number,
): Promise<CandidateSource[]> {
  const { configuration, profile } = given;
  const own = { ...key, generation };
  const planned = await plan({
    ...{ ...own, configuration, specialization, profile, candidates: 2, mutator: 'builtin' },
    search: { ...DEFAULT_SEARCH, growth: 0 },
  });
  const candidates: CandidateSource[] = [];
  for (const { index, mutator } of planned.slots) {
    const siblings = candidates.map(({ source }) => source);
    const input = { ...own, plan: planned.plan, index, mutator, siblings };
    const verdict = await inActivity<MutateVerdict>(() => mutate(input));
    assert.equal(verdict.verdict, 'proposed', JSON.stringify(verdict));
    if (verdict.verdict === 'proposed') candidates.push(verdict.candidate);
  }
  await admit({
    ...{ ...own, configuration, missing: [] },
    inputs: {
      ...{ schema: 1, configuration: configuration.digest, corpus: given.corpus, profile },
      ...{ messages: 48, specialization, candidates },
    },
  });
  return candidates;
}

/** Built again under other ids: the same bytes, and a twin for whoever must be new. */
async function replayed(
  { source }: CandidateSource,
  spec: Ref,
  before: Built & { id: string },
  configuration: string,
): Promise<void> {
  const again = { ...key, generation: 2, rerun: 1, candidate: 'acme/gen/2/r1/c0', source, spec };
  const rebuilt = await inActivity<BuildVerdict>(() => build(again));
  assert.ok(rebuilt.verdict === 'built' && rebuilt.seconds > 0);
  assert.equal(rebuilt.component.digest, before.component.digest, 'byte for byte');
  const recorded = { ...again, candidate: 'acme/gen/2/r2/c0', recorded: before.id };
  const answered = await inActivity<BuildVerdict>(() => build(recorded));
  const first = await inActivity<BuildVerdict>(() => build({ ...again, candidate: before.id }));
  assert.deepEqual(answered, first, 'the record of the first attempt, not a build');
  archive.recordResult(before.id, { module: before.component.digest, ratioToBaseline: 2 });
  const later = { ...again, rerun: 0, generation: 3, candidate: 'acme/gen/3/c0' };
  const twin = await inActivity<BuildVerdict>(() => build({ ...later, new_in: configuration }));
  assert.equal(twin.verdict === 'built' && twin.twin, before.id);
}

interface Built {
  component: Ref;
  linked: Ref;
}

async function built(candidate: CandidateSource, spec: Ref): Promise<Built> {
  const input = { ...key, candidate: candidate.id, source: candidate.source, spec };
  assert.deepEqual(await checkSource(input), { verdict: 'pass' }, candidate.operator);
  const verdict = await inActivity<BuildVerdict>(() => build(input));
  assert.equal(verdict.verdict, 'built', `${candidate.operator}: ${JSON.stringify(verdict)}`);
  if (verdict.verdict !== 'built') throw new Error('unreachable');
  assert.deepEqual(await inActivity<BuildVerdict>(() => build(input)), verdict);
  const { component, linked } = verdict;
  const policy = await checkModule({ ...key, candidate: candidate.id, component });
  assert.ok(policy.verdict === 'pass', JSON.stringify(policy));
  assert.ok((policy.instructions?.loads ?? 0) > 0, JSON.stringify(policy));
  return { component, linked };
}

/** With the attestations of this repository, and no verifier. */
async function proofs(kit: string | null, candidates: (Built & { id: string })[]) {
  const settings = { ...deps.settings, kit, attestations: attestationsDirectory({}) };
  const { prove } = proveActivities({ ...deps, settings }, { PATH: '/nowhere' });
  const result = await inActivity<ProveResult>(() => prove({ ...key, candidates }));
  return result.candidates.map(({ proof }) =>
    proof.verdict === 'refused' ? proof.reason : proof.verdict,
  );
}

test('proposals are built, admitted and timed', options, async (context) => {
  const given = await traffic();
  const { specialization, candidates } = await proposals(given);
  const all: (Built & { id: string })[] = [];
  for (const candidate of candidates) {
    all.push({ id: candidate.id, ...(await built(candidate, specialization.spec)) });
  }
  assert.deepEqual(
    await proofs(found?.kit ?? null, all),
    all.map(() => 'attested'),
  );
  const components = all.map(({ id, component }) => ({ id, component }));
  const { configuration, corpus } = given;
  const input = {
    ...{ ...key, configuration, corpus, candidates: components, incumbent: null },
    ...{ seconds: 3, promotion_ratio: 1.1 },
  };
  const result = await inActivity<BenchmarkResult>(() => benchmark(input));
  for (const verdict of result.candidates) {
    context.diagnostic(JSON.stringify(verdict));
    assert.ok(verdict.verdict === 'faster' || verdict.verdict === 'slow', verdict.verdict);
  }
  const evidence = JSON.parse(await store.getText(result.evidence));
  assert.equal(evidence.verdicts.length, 3);
  const [candidate, before] = [candidates[1], all[1]];
  assert.ok(candidate && before);
  await replayed(candidate, specialization.spec, before, configuration.digest);
});

/** What is done to a real kit after a real build, and undone again. */
const tampering: [string, string][] = [
  ['codec/src/lib.rs', 'sources-changed'],
  ['codec/Cargo.toml', 'sources-changed'],
  ['rlib/libratchet_codec.rlib', 'library-changed'],
  ['kit.json', 'kit-changed'],
];

test('one byte of the kit is enough to refuse what was built with it', options, async () => {
  const kit = join(directory, 'kits', 'copy');
  await cp(found?.kit ?? '', kit, { recursive: true });
  const json = await readFile(join(kit, 'kit.json'), 'utf8');
  await writeFile(join(kit, 'kit.json'), json.replaceAll(found?.kit ?? '', kit));
  const copied = buildActivities({ ...deps, settings: { ...deps.settings, kit } });
  const folder = new URL('../guest/candidate/src/', import.meta.url);
  const put = async (name: string) =>
    store.put(await readFile(new URL(name, folder)), 'text/x-rust');
  const [source, spec] = [await put('aggregate.rs'), await put('spec.rs')];
  const request = { ...key, candidate: 'acme/gen/1/c8', source, spec };
  const verdict = await inActivity<BuildVerdict>(() => copied.build(request));
  assert.ok(verdict.verdict === 'built', JSON.stringify(verdict));
  const { component, linked } = verdict;
  const candidates = [{ id: 'c8', component, linked }];
  assert.deepEqual(await proofs(kit, candidates), ['attested']);
  for (const [file, reason] of tampering) {
    const bytes = await readFile(join(kit, file));
    await writeFile(join(kit, file), Buffer.concat([bytes, Buffer.from(' ')]));
    assert.deepEqual(await proofs(kit, candidates), [reason], file);
    await writeFile(join(kit, file), bytes);
  }
  assert.deepEqual(await proofs(kit, candidates), ['attested']);
});

test('a source that the policy refuses is a verdict with its place', options, async () => {
  const spec = await store.put('', 'text/x-rust');
  const source = await store.put(
    '#![forbid(unsafe_code)]\nfn f() { unsafe { g() } }\n',
    'text/x-rust',
  );
  const verdict = await checkSource({ ...key, candidate: 'acme/gen/1/c9', source, spec });
  assert.deepEqual(
    verdict.verdict === 'refused' ? [verdict.rule, verdict.line] : verdict,
    ['unsafe', 2],
    JSON.stringify(verdict),
  );
});

test('a component that a tenant brought: where it may, and as what it is', options, async () => {
  // A component of no interfaces at all: it has the right form, and the wrong world.
  const bytes = Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
  const component = await store.put(bytes, 'application/wasm');
  const ask = async (wasi: 'none' | 'empty', foreign: boolean) => {
    const settings = { ...deps.settings, wasi };
    const candidate = 'acme/gen/1/c0';
    const verdict = await buildActivities({ ...deps, settings }).checkModule({
      ...{ ...key, candidate, component },
      ...(foreign && { foreign: true }),
    });
    return verdict.verdict === 'refused' ? verdict.rule : verdict.verdict;
  };
  assert.equal(await ask('none', true), 'policy');
  assert.equal(await ask('empty', true), 'memory');
  assert.equal(await ask('empty', false), 'memory');
});
