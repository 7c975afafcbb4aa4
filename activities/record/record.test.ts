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
    const source = `${request.parent.source}// ${requests.length}\n`;
    return { source, operator: `op-${requests.length}`, summary: 's', random: request.random };
  },
};
const deps = { archive, lineage, store, stages, mutators: { builtin }, now: () => 5_000 };
const { plan, mutate, admit, readmit, restore } = mutateActivities(deps);
const { record, conclude, recordDemotion, recordManifest } = recordActivities(deps);
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

function keyOf(generation: number, rerun = 0) {
  return { org: 'acme', generation, rerun };
}

function planned(generation: number): Promise<Plan> {
  const input: PlanInput = {
    ...keyOf(generation),
    ...{ configuration, specialization, profile, candidates: 3, mutator: 'builtin' },
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

test('a generation from plan to end, and the next one that builds on it', async () => {
  assert.deepEqual(await restore({ org: 'acme' }), { generation: 0 });
  const inputs = await proposed(1);
  assert.deepEqual(
    inputs.candidates.map(({ id, mutator }) => [id, mutator]),
    [
      ['acme/gen/1/c0', 'specialise'],
      ['acme/gen/1/c1', 'builtin'],
      ['acme/gen/1/c2', 'builtin'],
    ],
  );
  assert.deepEqual(await proposed(1), inputs, 'repeated, it is the same');
  assert.equal(requests.length, 2, 'and nothing was proposed twice');
  assert.equal(requests[1]?.tried?.length, 2, 'a proposal knows its siblings');
  const missing = [{ index: 3, mutator: 'builtin', reason: 'none left' }];
  const admitted = await admit({ ...keyOf(1), configuration, inputs, missing });
  const candidates = inputs.candidates.map((it, index) =>
    outcome(it, [1.05, 2.5, null][index] ?? null),
  );
  const verdicts = candidates.map(({ id }) => ({ id, us_per_message: 7, fuel_per_point: 9 }));
  const evidence = await store.put(JSON.stringify({ verdicts }), 'application/json');
  const answers = answersOf(candidates, evidence.digest);
  const request = { ...keyOf(1), configuration, spec: specialization.spec, at_ms: 1_000 };
  const recorded = await record({ ...request, answers, candidates });
  assert.deepEqual(await record({ ...request, answers, candidates }), recorded, 'idempotent');
  const [entry] = await lineage.log('acme', configuration.digest);
  assert.equal(entry?.id, recorded.commit);
  assert.equal(entry?.trailers.Operator, inputs.candidates[1]?.operator);
  const ranked = archive.ranked('acme', configuration.digest).map(({ id }) => id);
  assert.deepEqual(ranked, ['acme/gen/1/c1', 'acme/gen/1/c0'], 'slow ones remain parents');
  const active = {
    ...{ version: 1, kind: 'promote' as const, configuration: configuration.digest, size: 1 },
    ...{ module: sha256('acme/gen/1/c1'), issued_at_ms: 1, expires_at_ms: 2, statement: 's' },
  };
  const won = candidates.map((it) => (it.index === 1 ? { ...it, state: 'promoted' as const } : it));
  const end = { outcome: 'promoted' as const, detail: null, commit: recorded.commit, answers: [] };
  const concluding = { ...keyOf(1), configuration, ...end, candidates: won, promoted: active };
  await conclude(concluding);
  await conclude(concluding);
  const row = archive.generation('acme/gen/1');
  assert.deepEqual(
    [row?.outcome, row?.promoted, row?.commit],
    ['promoted', 'acme/gen/1/c1', recorded.commit],
  );
  assert.equal(archive.candidate('acme/gen/1/c1')?.usPerMessage, 7);
  assert.deepEqual(await restore({ org: 'acme' }), { generation: 1 });
  const second = await planned(2);
  assert.ok(second.slots.every(({ parent, mutator }) => parent !== null && mutator === 'builtin'));
  await rerun(admitted.inputs);
  await recordDemotion({ org: 'acme', configuration: 'c', module: active.module, reason: 'wrong' });
  const left = archive.ranked('acme', configuration.digest).map(({ id }) => id);
  assert.deepEqual(left, ['acme/gen/1/c0'], 'a demoted module is nobody’s parent');
  await recordManifest({ org: 'acme', active: { ...active, version: 2, kind: 'rollback' } });
  assert.equal(archive.incumbent('acme')?.candidate, 'acme/gen/1/c1');
});

async function rerun(inputs: Awaited<ReturnType<typeof admit>>['inputs']): Promise<void> {
  const again = await readmit({ ...keyOf(1, 1), configuration, inputs });
  assert.deepEqual(
    again.candidates.map(({ id }) => id),
    ['acme/gen/1/r1/c0', 'acme/gen/1/r1/c1', 'acme/gen/1/r1/c2'],
  );
  assert.equal(archive.candidates('acme/gen/1/r1').length, 3);
  const other = { ...configuration, digest: sha256('other') };
  await assert.rejects(readmit({ ...keyOf(1, 2), configuration: other, inputs }), /belong to/);
}

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
