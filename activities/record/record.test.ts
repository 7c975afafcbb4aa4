/** Planning, admitting, recording and concluding, on a real archive and a real lineage. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { ContentStore, sha256 } from '../../control/store/index.ts';
import { Archive } from '../../evolver/archive.ts';
import { Lineage } from '../../evolver/lineage.ts';
import type { Mutator } from '../../evolver/mutator.ts';
import { UNKNOWN_TRAFFIC } from '../../evolver/profile.ts';
import { DEFAULT_SEARCH } from '../../evolver/search/settings.ts';
import type { CandidateOutcome } from '../../workflows/messages.ts';
import { mutateActivities } from '../mutate/index.ts';
import { specializeActivities } from '../specialize/index.ts';
import { StageRecords } from '../stages.ts';
import type { GateRecord, GenerationInputs, MutateVerdict, Plan, PlanInput } from '../types.ts';
import { archivedVerdicts, recordActivities } from './index.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-record-'));
const archive = Archive.open(':memory:');
after(async () => {
  archive.close();
  await rm(directory, { recursive: true });
});
const store = new ContentStore(join(directory, 'store'));
const lineage = new Lineage(join(directory, 'lineage'));
const stages = new StageRecords(join(directory, 'stages'));
const requests: Parameters<Mutator['propose']>[0][] = [];
const builtin: Mutator = {
  name: 'builtin',
  propose: async (request) => {
    requests.push(request);
    const source = `${request.parent.source}const C${requests.length}: u8 = 0;\n`;
    return { source, operator: `op-${requests.length}`, summary: 's', random: request.random };
  },
};
const deps = { archive, lineage, store, stages, mutators: { builtin }, now: () => 5_000 };
const { plan, mutate, admit, readmit, restore } = mutateActivities(deps);
const { record, commit, conclude, recordDemotion, recordManifest } = recordActivities(deps);
const { specialize } = specializeActivities(deps);

const compiled = compileConfiguration('acme', [
  { id: 'r', metric: 'm', filter: 'a:b', group_by: ['host'], aggregate: 'sum', window: '10s' },
]);
const configuration = {
  digest: compiled.digest,
  blob: await store.put(compiled.blob, 'application/octet-stream'),
  rules: 1,
  effective_from_ms: 0,
};
const specialization = await specialize({ org: 'acme', generation: 1, rerun: 0, configuration });
const profile = await store.put(JSON.stringify(UNKNOWN_TRAFFIC), 'application/json');

const scope = { org: 'acme', configuration: configuration.digest, epoch: 0, before: 99 };

function keyOf(generation: number, rerun = 0) {
  return { org: 'acme', generation, rerun };
}

function planned(generation: number): Promise<Plan> {
  const input: PlanInput = {
    ...keyOf(generation),
    ...{ configuration, specialization, profile, candidates: 3, mutator: 'builtin' },
    search: { ...DEFAULT_SEARCH, growth: 0 },
  };
  return plan(input);
}

async function proposed(generation: number): Promise<GenerationInputs> {
  const { plan: document, slots } = await planned(generation);
  const candidates: GenerationInputs['candidates'] = [];
  for (const { index, mutator } of slots) {
    const siblings = candidates.map(({ source }) => source);
    const input = { ...keyOf(generation), plan: document, index, mutator, siblings };
    const run = () => mutate(input);
    const verdict = (await new MockActivityEnvironment().run(run)) as MutateVerdict;
    if (verdict.verdict === 'proposed') candidates.push(verdict.candidate);
  }
  const corpus = { fit: profile, check: profile };
  const { digest } = configuration;
  return {
    schema: 1,
    configuration: digest,
    corpus,
    profile,
    messages: 9,
    specialization,
    candidates,
  };
}

function outcome(
  { id, index, mutator, operator }: GenerationInputs['candidates'][number],
  ratio: number | null,
): CandidateOutcome {
  const gate = ratio === null ? 'build' : 'benchmark';
  return {
    ...{ id, index, mutator, operator, gate, reason: null, build_seconds: 0.5 },
    state: ratio !== null && ratio > 1.1 ? 'open' : 'rejected',
    verdict: ratio === null ? 'compile-error' : 'faster',
    module: ratio === null ? null : sha256(id),
    ratio,
    ci95: ratio === null ? null : [ratio - 0.1, ratio + 0.1],
    ratio_to_baseline: ratio,
  };
}

function answersOf(candidates: CandidateOutcome[], evidence: string): GateRecord[] {
  return candidates.map(({ id, gate, verdict, ratio }) => ({
    candidate: id,
    gate: gate ?? 'build',
    passed: ratio !== null && ratio > 1.1,
    verdict: ratio !== null && ratio <= 1.1 ? 'slow' : (verdict ?? ''),
    reason: null,
    evidence: gate === 'benchmark' ? evidence : null,
    seconds: null,
  }));
}

/** What the module policy answered: of the first candidate as before instructions were counted. */
function policiesOf(candidates: CandidateOutcome[]): GateRecord[] {
  return candidates.map(({ id: candidate, index }) => ({
    ...{ candidate, gate: 'module', passed: true, verdict: 'pass' },
    ...{ reason: null, evidence: null, seconds: null },
    ...(index > 0 && { instructions: { ...NO_INSTRUCTIONS, loads: 3, loops: index } }),
  }));
}

const NO_INSTRUCTIONS = {
  ...{ calls: 0, branches: 0, loops: 0, loads: 0, stores: 0 },
  ...{ bulk: 0, integers: 0, floats: 0, conversions: 0, vectors: 0 },
};

/** Records a generation whose candidates have these ratios, in their order. */
async function finish(inputs: GenerationInputs, generation: number, ratios: (number | null)[]) {
  const candidates = inputs.candidates.map((it, index) => outcome(it, ratios[index] ?? null));
  for (const { id } of candidates) await store.put(id, 'application/wasm');
  const verdicts = candidates.map(({ id }) => ({ id, us_per_message: 7, fuel_per_point: 9 }));
  const evidence = await store.put(JSON.stringify({ verdicts }), 'application/json');
  const timed = answersOf(candidates, evidence.digest);
  const answers = [...policiesOf(candidates), ...timed];
  const { spec, seed } = specialization;
  const request = { ...keyOf(generation), configuration, spec, at_ms: 1_000, candidates };
  assert.deepEqual(await record({ ...request, answers, commits_later: true }), { commit: null });
  const winner = candidates.find(({ ratio }) => ratio === 2.5)?.id ?? null;
  const committing = { ...request, seed, winner, outcome: winner === null ? 'none' : 'passed' };
  const recorded = await commit(committing);
  assert.deepEqual(await commit(committing), recorded, 'idempotent');
  return { candidates, recorded };
}

test('generation 0 is the first form alone, also after it came to nothing', async () => {
  assert.deepEqual(await restore({ org: 'acme' }), { generation: 0 });
  assert.equal((await planned(1)).unevolved, true);
  const lost = await proposed(1);
  await admit({ ...keyOf(1), configuration, inputs: lost, missing: [] });
  assert.equal((await planned(2)).unevolved, true, 'nothing was measured');
  const inputs = await proposed(2);
  assert.deepEqual(
    inputs.candidates.map(({ id, mutator }) => [id, mutator]),
    [['acme/gen/2/c0', 'specialise']],
  );
  await admit({ ...keyOf(2), configuration, inputs, missing: [] });
  await finish(inputs, 2, [1.05]);
  assert.equal((await planned(3)).unevolved, undefined);
});

test('a generation from plan to end, and the next one that builds on it', async () => {
  const inputs = await proposed(3);
  assert.deepEqual(
    inputs.candidates.map(({ id, mutator, parent }) => [id, mutator, parent]),
    [0, 1, 2].map((slot) => [`acme/gen/3/c${slot}`, 'builtin', 'acme/gen/2/c0']),
  );
  assert.deepEqual(await proposed(3), inputs, 'repeated, it is the same');
  assert.equal(requests.length, 3, 'and nothing was proposed twice');
  assert.equal(requests[2]?.tried?.length, 3, 'a proposal knows its siblings');
  assert.equal(requests[0]?.id, 'acme/gen/3/c0');
  const cost = { micro_usd: 5, tokens_in: 1, tokens_out: 2, seconds: 0 };
  const missing = [{ index: 3, mutator: 'builtin', reason: 'none left', arm: 'builtin/any', cost }];
  const known = {
    ...{ outcome: 'duplicate', detail: 'known', source: null, transcript: null },
    ...{ micro_usd: 7, tokens_in: 1, tokens_out: 1 },
  };
  const admitted = await admit({
    ...{ ...keyOf(3), configuration, inputs, missing },
    attempts: { 1: [known], 3: [known, known] },
  });
  assert.equal(archive.totals('acme').attempts, 4);
  assert.equal(Math.round(archive.totals('acme').costUsd * 1e6), 26);
  const { candidates, recorded } = await finish(inputs, 3, [1.05, 2.5, null]);
  const [entry] = await lineage.log('acme', configuration.digest);
  assert.equal(entry?.id, recorded.commit);
  assert.equal(entry?.trailers.Verdict, 'passed');
  const source = await lineage.read('acme', recorded.commit, 'aggregate.rs');
  assert.equal(sha256(source ?? ''), inputs.candidates[1]?.source.digest);
  assert.equal(entry?.trailers.Operator, inputs.candidates[1]?.operator);
  const ranked = archive.ranked(scope).map(({ id }) => id);
  const slowToo = ['acme/gen/3/c1', 'acme/gen/2/c0', 'acme/gen/3/c0'];
  assert.deepEqual(ranked, slowToo, 'slow ones remain parents');
  const active = {
    ...{ version: 1, kind: 'promote' as const, configuration: configuration.digest, size: 1 },
    ...{ module: sha256('acme/gen/3/c1'), issued_at_ms: 1, expires_at_ms: 2, statement: 's' },
  };
  const won = candidates.map((it) => (it.index === 1 ? { ...it, state: 'promoted' as const } : it));
  const end = { outcome: 'promoted' as const, detail: null, commit: recorded.commit, answers: [] };
  const concluding = { ...keyOf(3), configuration, ...end, candidates: won, promoted: active };
  await conclude(concluding);
  await conclude(concluding);
  const row = archive.generation('acme/gen/3');
  assert.deepEqual(
    [row?.outcome, row?.promoted, row?.commit],
    ['promoted', 'acme/gen/3/c1', recorded.commit],
  );
  const winner = archive.candidate('acme/gen/3/c1');
  assert.deepEqual([winner?.usPerMessage, winner?.arm], [7, 'builtin/any']);
  assert.equal(winner?.moduleSize, 'acme/gen/3/c1'.length, 'of the component in the store');
  assert.ok(winner?.features && winner.syntax);
  const { loops = 0, 'wasm.loops': counted, 'wasm.loads': loads } = winner.features;
  assert.deepEqual([loops > 0, counted, loads], [true, 25_000, 75_000], 'of source and component');
  const first = archive.candidate('acme/gen/3/c0')?.features ?? {};
  assert.deepEqual([first.loops, 'wasm.loops' in first], [loops, false], 'nobody counted');
  assert.deepEqual(await restore({ org: 'acme' }), { generation: 3 });
  const fourth = await planned(4);
  assert.ok(fourth.slots.every(({ parent, arm }) => parent !== null && arm === 'builtin/any'));
  await rerun(admitted.inputs, candidates);
  await recordDemotion({ org: 'acme', configuration: 'c', module: active.module, reason: 'wrong' });
  const left = archive.ranked(scope).map(({ id }) => id);
  assert.ok(!left.includes('acme/gen/3/c1'), 'a demoted module is nobody’s parent');
  await recordManifest({ org: 'acme', active: { ...active, version: 2, kind: 'rollback' } });
  assert.equal(archive.incumbent('acme')?.candidate, 'acme/gen/3/c1');
});

async function rerun(
  inputs: Awaited<ReturnType<typeof admit>>['inputs'],
  before: CandidateOutcome[],
): Promise<void> {
  const again = await readmit({ ...keyOf(3, 1), configuration, inputs });
  assert.deepEqual(
    again.candidates.map(({ id }) => id),
    ['acme/gen/3/r1/c0', 'acme/gen/3/r1/c1', 'acme/gen/3/r1/c2'],
  );
  assert.equal(archive.candidates('acme/gen/3/r1').length, 3);
  assert.deepEqual(
    archive.generation('acme/gen/3/r1')?.random,
    archive.generation('acme/gen/3')?.random,
  );
  const candidates = again.candidates.map((it, at) => ({
    ...outcome(it, 2),
    module: at === 0 ? sha256('acme/gen/3/c0') : sha256('another component'),
  }));
  assert.equal(before[2]?.module, null, 'of what was not built there is nothing to compare');
  const request = { ...keyOf(3, 1), configuration, spec: specialization.spec, at_ms: 1_000 };
  await record({ ...request, candidates, answers: [], commits_later: true });
  assert.deepEqual(
    archive
      .candidates('acme/gen/3/r1')
      .map(({ verdicts }) => verdicts.map(({ gate, verdict }) => `${gate}: ${verdict}`)),
    [['replay: same'], ['replay: differs'], []],
  );
  const other = { ...configuration, digest: sha256('other') };
  await assert.rejects(readmit({ ...keyOf(3, 2), configuration: other, inputs }), /belong to/);
}

test('a mutator that knows nothing new leaves its slot empty', async () => {
  const { plan: document } = await planned(5);
  const source = await store.getText((await proposed(3)).candidates[0]?.source ?? '');
  const parrot: Mutator = {
    name: 'builtin',
    propose: async ({ random }) => ({
      ...{ source: `  ${source}`, operator: 'parrot', summary: 's', random },
      charge: { microUsd: 3, tokensIn: 0, tokensOut: 0 },
    }),
  };
  const own = mutateActivities({ ...deps, mutators: { builtin: parrot } });
  const input = {
    ...keyOf(5),
    plan: document,
    index: 0,
    mutator: 'builtin' as const,
    siblings: [],
  };
  const verdict = (await new MockActivityEnvironment().run(() =>
    own.mutate(input),
  )) as MutateVerdict;
  assert.equal(verdict.verdict, 'none');
  assert.deepEqual(
    verdict.attempts?.map(({ outcome: word, detail, micro_usd }) => [word, detail, micro_usd]),
    [1, 2, 3].map(() => ['duplicate', 'parrot: its syntax is known', 3]),
  );
});

test('a mutator that the deployment lacks is a fault that names it', async () => {
  const none = mutateActivities({ ...deps, mutators: {} });
  const input = { ...keyOf(6), configuration, specialization, profile, candidates: 1 };
  await assert.rejects(none.plan({ ...input, mutator: 'llm' }), /mutator llm is not available/);
});

test('a generation that failed before it was planned is concluded all the same', async () => {
  const end = { outcome: 'failed' as const, detail: 'no NATS', commit: null, answers: [] };
  await conclude({ ...keyOf(7), configuration, ...end, candidates: [], promoted: null });
  const row = archive.generation('acme/gen/7');
  assert.deepEqual([row?.outcome, row?.detail], ['failed', 'no NATS']);
});

test('what is kept of a verdict: worth as a parent apart from promotion', () => {
  const cases: [GateRecord['gate'], boolean, string, string][] = [
    ['source', false, 'refused', 'source:refused:false'],
    ['benchmark', true, 'faster', 'benchmark:timed:true'],
    ['benchmark', false, 'slow', 'benchmark:timed:true promotion:slow:false'],
    ['benchmark', false, 'diverged', 'benchmark:diverged:false'],
    ['shadow', true, 'pass', 'shadow:pass:true'],
    ['shadow', false, 'fail', 'shadow:fail:false'],
    ['shadow', false, 'insufficient', 'promotion:insufficient:false'],
    ['shadow', false, 'fault', 'promotion:fault:false'],
    ['signature', true, 'pass', 'signature:pass:true'],
    ['signature', false, 'conflict', 'promotion:conflict:false'],
  ];
  for (const [gate, passed, verdict, expected] of cases) {
    const record = {
      candidate: 'c',
      gate,
      passed,
      verdict,
      reason: null,
      evidence: null,
      seconds: null,
    };
    const kept = archivedVerdicts(record).map((it) => `${it.gate}:${it.verdict}:${it.passed}`);
    assert.equal(kept.join(' '), expected);
  }
});
