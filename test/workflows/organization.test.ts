import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { ConcludeInput } from '../../activities/types.ts';
import * as m from '../../workflows/messages.ts';
import { type Handle, settled, until, withEntity } from './entity.ts';
import {
  configuration,
  organizationInput,
  settings,
  startEnvironment,
  withWorkers,
} from './environment.ts';
import { attested, deferred, fakes, ref, slow } from './fakes.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
before(async () => {
  environment = await startEnvironment();
});
after(() => environment.temporal.teardown());

function configure(handle: Handle, seed = 'a'): Promise<m.ConfigureReply> {
  return handle.executeUpdate(m.configureUpdate, {
    args: [{ configuration: configuration(seed) }],
  });
}

async function rejected(update: Promise<unknown>, type: string, message: RegExp): Promise<void> {
  const error = await update.then(
    () => assert.fail('the update was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
  assert.ok(error.cause instanceof ApplicationFailure);
  assert.equal(error.cause.type, type);
  assert.match(error.cause.message, message);
}

test('a configuration with enough traffic evolves by itself until the budget is used', async () => {
  let looks = 0;
  const fake = fakes({
    captureStatus: async () => {
      looks += 1;
      return { training: looks < 3 ? 10 : 64, held_back: 64 };
    },
  });
  const budget = { ...m.DEFAULT_BUDGET, generations: 2 };
  await withEntity(environment, fake, organizationInput('self', { budget }), async (handle) => {
    assert.equal((await handle.query(m.statusQuery)).stage, 'unconfigured');
    const reply = await configure(handle);
    assert.deepEqual(reply, { digest: configuration().digest, changed: true });
    const status = await until(handle, 'settled', settled);
    assert.equal(status.settled_reason, 'budget of 2 generations used');
    assert.equal(looks, 3);
    assert.deepEqual(
      status.outcomes.map((it) => [it.workflow_id, it.outcome, it.version]),
      [
        ['self/gen/1', 'promoted', 1],
        ['self/gen/2', 'promoted', 2],
      ],
    );
    assert.equal(status.candidates_total, 4);
    assert.equal(status.active?.version, 2);
    assert.ok((status.first_promotion_ms ?? 0) >= (status.evolution_started_ms ?? Infinity));
    assert.equal((await configure(handle)).changed, false);
  });
});

test('generations go on from what archive and table hold', async () => {
  const fake = fakes({ restore: async () => ({ generation: 41 }) });
  fake.table.active = {
    version: 9,
    kind: 'promote',
    configuration: configuration().digest,
    module: 'earlier',
    size: 1,
    issued_at_ms: Date.now(),
    expires_at_ms: Date.now() + 1e9,
    statement: 'statement:9:earlier',
  };
  await withEntity(environment, fake, organizationInput('restored'), async (handle) => {
    await configure(handle);
    const status = await until(handle, 'settled', settled);
    assert.equal(status.outcomes[0]?.workflow_id, 'restored/gen/42');
    assert.equal(status.active?.version, 10);
    const [bench] = fake.inputs.benchmark as { incumbent: m.ActiveModule | null }[];
    assert.equal(bench?.incumbent?.module, 'earlier');
  });
});

test('stagnation after a promotion settles; evolve starts afresh', async () => {
  const fake = fakes({
    benchmark: async (input) => {
      const { benchmark } = fakes().activities;
      if (input.generation === 1) return await benchmark(input);
      const candidates = input.candidates.map(({ id }) => slow(id));
      return { evidence: ref('e'), seconds: 1, candidates };
    },
  });
  const budget = { ...m.DEFAULT_BUDGET, generations: 9, stagnation: 2 };
  await withEntity(environment, fake, organizationInput('stagnant', { budget }), async (handle) => {
    await configure(handle);
    const status = await until(handle, 'settled', settled);
    assert.equal(status.settled_reason, '2 generations without improvement');
    assert.deepEqual(status.rejected_total, { benchmark: 4 });
    const request = { request_id: 'once', budget: { stagnation: 1 } };
    const first = await handle.executeUpdate(m.evolveUpdate, { args: [request] });
    assert.equal(first.next_generation, 4);
    await until(handle, 'settled again', (it) => settled(it) && it.generation === 4);
    const repeated = await handle.executeUpdate(m.evolveUpdate, { args: [request] });
    assert.deepEqual(repeated, first);
    await wait(200);
    assert.equal((await handle.query(m.statusQuery)).generation, 4);
  });
});

test('pause stops new generations, resume goes on', async () => {
  const fake = fakes({ captureStatus: async () => ({ training: 0, held_back: 0 }) });
  await withEntity(environment, fake, organizationInput('paused'), async (handle) => {
    await configure(handle);
    await handle.executeUpdate(m.pauseUpdate, { args: [{ reason: 'holiday' }] });
    const status = await until(handle, 'paused', (it) => it.paused);
    assert.deepEqual([status.stage, status.paused_reason], ['capturing', 'holiday']);
    await wait(200);
    const looks = fake.calls.captureStatus;
    await wait(400);
    assert.equal(fake.calls.captureStatus, looks);
    await handle.executeUpdate(m.resumeUpdate, { args: [{}] });
    await until(handle, 'looking again', () => (fake.calls.captureStatus ?? 0) > (looks ?? 0));
  });
});

test('pausing with cancel_running ends the generation under way', async () => {
  const started = deferred();
  const fake = fakes({
    build: async () => {
      started.resolve();
      const { Context } = await import('@temporalio/activity');
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), 100);
      return await context.cancelled.finally(() => clearInterval(beat));
    },
  });
  await withEntity(environment, fake, organizationInput('stopped'), async (handle) => {
    await configure(handle);
    await started.promise;
    const running = await until(handle, 'building', (it) => it.running?.stage === 'build');
    assert.equal(running.running?.workflow_id, 'stopped/gen/1');
    assert.equal(running.running?.candidates.length, 2);
    await handle.executeUpdate(m.pauseUpdate, { args: [{ cancel_running: true }] });
    const status = await until(handle, 'ended', (it) => it.outcomes.length === 1);
    assert.equal(status.outcomes[0]?.outcome, 'cancelled');
    assert.equal(status.budget_used.generations, 0);
    assert.equal(status.running, null);
  });
});

test('a generation that is terminated is concluded for it, and its spending counts', async () => {
  const started = deferred();
  const fake = fakes({
    build: async () => {
      started.resolve();
      const { Context } = await import('@temporalio/activity');
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), 100);
      return await context.cancelled.finally(() => clearInterval(beat));
    },
    conclude: async () => ({ spent: { micro_usd: 2_000_000, tokens: 9 } }),
  });
  await withEntity(environment, fake, organizationInput('lost'), async (handle) => {
    await configure(handle);
    await started.promise;
    await environment.temporal.client.workflow.getHandle('lost/gen/1').terminate('by hand');
    const status = await until(handle, 'ended', (it) => it.outcomes.length === 1);
    assert.equal(status.outcomes[0]?.outcome, 'failed');
    assert.deepEqual([status.budget_used.usd, status.budget_used.tokens], [2, 9]);
    const [told] = fake.inputs.conclude as ConcludeInput[];
    assert.deepEqual([told?.outcome, told?.lost, told?.generation], ['failed', true, 1]);
  });
});

test('a failed generation is run again from its inputs', async () => {
  let broken = true;
  const fake = fakes({
    prove: async ({ candidates }) => {
      if (broken) throw ApplicationFailure.nonRetryable('no verifier', 'VerifierMissing');
      return { candidates: candidates.map(({ id }) => attested(id)) };
    },
  });
  await withEntity(environment, fake, organizationInput('rerun'), async (handle) => {
    await configure(handle);
    const failed = await until(handle, 'settled', settled);
    assert.equal(failed.outcomes[0]?.outcome, 'failed');
    assert.match(failed.last_error ?? '', /no verifier/);
    broken = false;
    const reply = await handle.executeUpdate(m.rerunGenerationUpdate, {
      args: [{ generation: 1 }],
    });
    assert.equal(reply.workflow_id, 'rerun/gen/1/r1');
    const status = await until(handle, 'run again', (it) => it.outcomes.length === 2);
    assert.equal(status.outcomes[1]?.outcome, 'promoted');
    assert.equal(status.generation, 1);
    assert.equal(fake.calls.sample, 1);
    assert.deepEqual((fake.inputs.readmit as { inputs: m.Ref }[])[0]?.inputs, ref('inputs 1'));
  });
});

test('rollback returns to the module before, then to none, and pauses', async () => {
  const fake = fakes();
  const budget = { ...m.DEFAULT_BUDGET, generations: 2 };
  await withEntity(environment, fake, organizationInput('back', { budget }), async (handle) => {
    await configure(handle);
    await until(handle, 'settled', settled);
    const [first] = fake.inputs.sign as { subject: { module: m.Ref } }[];
    const request = { request_id: 'back-1', reason: 'wrong dashboards' };
    const reply = await handle.executeUpdate(m.rollbackUpdate, { args: [request] });
    const module = first?.subject.module.digest ?? '';
    assert.deepEqual(reply, { version: 3, kind: 'rollback', module });
    assert.deepEqual(await handle.executeUpdate(m.rollbackUpdate, { args: [request] }), reply);
    const status = await handle.query(m.statusQuery);
    assert.deepEqual(
      [status.paused, status.paused_reason],
      [true, 'rolled back: wrong dashboards'],
    );
    assert.equal(fake.table.active?.module, module);
    await rejected(
      handle.executeUpdate(m.rollbackUpdate, { args: [{ to_version: 1 }] }),
      m.REJECTION.conflict,
      /version 1 serves already/,
    );
    const none = await handle.executeUpdate(m.rollbackUpdate, { args: [{}] });
    assert.deepEqual(none, { version: 4, kind: 'tombstone', module: null });
    await rejected(
      handle.executeUpdate(m.rollbackUpdate, { args: [{}] }),
      m.REJECTION.conflict,
      /no tenant module serves/,
    );
  });
});

test('a demoted module gets a tombstone, and evolving starts again', async () => {
  const fake = fakes();
  await withEntity(environment, fake, organizationInput('demoted'), async (handle) => {
    await configure(handle);
    const before = await until(handle, 'settled', settled);
    const module = before.active?.module ?? '';
    const { digest } = configuration();
    const wrong = { configuration: digest, module, reason: 'differs from the baseline' };
    await handle.signal(m.moduleDemotedSignal, wrong);
    const status = await until(handle, 'evolved again', (it) => it.outcomes.length === 2);
    assert.equal(status.active?.version, 3);
    assert.deepEqual(
      (fake.inputs.publish as { active: m.ActiveModule }[]).map((it) => it.active.kind),
      ['promote', 'tombstone', 'promote'],
    );
    assert.equal(fake.calls.recordDemotion, 1);
    await rejected(
      handle.executeUpdate(m.rollbackUpdate, { args: [{ to_version: 1 }] }),
      m.REJECTION.unknown,
      /version 1 is not among 3/,
    );
  });
});

test('a manifest that no aggregator confirms is taken back', async () => {
  let first = true;
  const fake = fakes({
    confirm: async () => {
      const verdict = first ? ('timeout' as const) : ('swapped' as const);
      first = false;
      return { verdict };
    },
  });
  await withEntity(environment, fake, organizationInput('unconfirmed'), async (handle) => {
    await configure(handle);
    await until(handle, 'settled', settled);
    const status = await until(handle, 'taken back', (it) => it.active?.kind === 'tombstone');
    assert.deepEqual([status.active?.version, status.outcomes[0]?.outcome], [2, 'refused']);
    assert.equal(status.first_promotion_ms, null);
  });
});

test('a manifest is renewed at half its life', async () => {
  const fake = fakes();
  const input = organizationInput('renewed', { settings: settings({ manifest_life_ms: 4_000 }) });
  await withEntity(environment, fake, input, async (handle) => {
    await configure(handle);
    const before = await until(handle, 'settled', settled);
    const status = await until(handle, 'renewed', (it) => (it.active?.version ?? 0) >= 2);
    assert.equal(status.active?.module, before.active?.module);
    assert.equal(status.active?.kind, 'promote');
  });
});

test('a new configuration starts over; the old module is no incumbent', async () => {
  const fake = fakes();
  await withEntity(environment, fake, organizationInput('changed'), async (handle) => {
    await configure(handle, 'a');
    await until(handle, 'settled', settled);
    await configure(handle, 'b');
    const status = await until(handle, 'settled', (it) => settled(it) && it.generation === 2);
    assert.equal(status.active?.configuration, configuration('b').digest);
    const incumbents = (fake.inputs.benchmark as { incumbent: unknown }[]).map(
      (it) => it.incumbent,
    );
    assert.deepEqual(incumbents, [null, null]);
    await rejected(
      handle.executeUpdate(m.rerunGenerationUpdate, { args: [{ generation: 1 }] }),
      m.REJECTION.conflict,
      /earlier configuration/,
    );
  });
});

test('continue-as-new keeps state, answers and queries', async () => {
  const fake = fakes();
  const input = organizationInput('continued', {
    settings: settings({ generations_per_run: 1 }),
    budget: { ...m.DEFAULT_BUDGET, generations: 3 },
  });
  await withEntity(environment, fake, input, async (handle) => {
    const request = { request_id: 'budget', budget: { seconds: 600 } };
    const reply = await handle.executeUpdate(m.setBudgetUpdate, { args: [request] });
    await configure(handle);
    const status = await until(handle, 'settled', settled);
    assert.deepEqual(
      status.outcomes.map((it) => it.generation),
      [1, 2, 3],
    );
    assert.equal(status.active?.version, 3);
    const first = (await handle.fetchHistory()).events?.[0];
    const started = first?.workflowExecutionStartedEventAttributes;
    assert.ok(started?.continuedExecutionRunId);
    assert.deepEqual(await handle.executeUpdate(m.setBudgetUpdate, { args: [request] }), reply);
    assert.equal(fake.calls.restore, 1);
  });
});

test('requests that cannot be met are refused with their reason', async () => {
  const fake = fakes({ captureStatus: async () => ({ training: 0, held_back: 0 }) });
  await withEntity(environment, fake, organizationInput('refusing'), async (handle) => {
    const { invalid, conflict, unknown } = m.REJECTION;
    const evolve = (request: m.EvolveRequest) =>
      handle.executeUpdate(m.evolveUpdate, { args: [request] });
    const rerun = (generation: number) =>
      handle.executeUpdate(m.rerunGenerationUpdate, { args: [{ generation }] });
    await rejected(evolve({}), conflict, /no configuration yet/);
    await rejected(evolve({ budget: { generations: 0 } }), invalid, /budget.generations: 0 is not/);
    await rejected(evolve({ bugdet: {} } as never), invalid, /"bugdet" is not/);
    const bad = { ...configuration(), digest: 'xyz' };
    await rejected(
      handle.executeUpdate(m.configureUpdate, { args: [{ configuration: bad }] }),
      invalid,
      /configuration.digest: "xyz" is not a SHA-256 digest/,
    );
    await configure(handle);
    await rejected(rerun(7), unknown, /generation 7 is not among none/);
    await rejected(rerun(-1), invalid, /generation: -1/);
    const both = { to_version: 1, to_baseline: true };
    await rejected(
      handle.executeUpdate(m.rollbackUpdate, { args: [both] }),
      invalid,
      /together with to_version/,
    );
    await rejected(
      handle.executeUpdate(m.setBudgetUpdate, { args: [{ budget: { seconds: '5' } as never }] }),
      invalid,
      /budget.seconds: "5"/,
    );
  });
});

test('an input that is not valid fails the workflow instead of blocking it', async () => {
  const { client } = environment.temporal;
  await withWorkers(environment, fakes().activities, async () => {
    const input = { ...organizationInput('invalid'), org: 'No Such Name' };
    const run = client.workflow.execute(m.WORKFLOW.organization, {
      workflowId: 'org/invalid',
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    await assert.rejects(run, (error: Error) => /No Such Name/.test(String(error.cause)));
  });
});

test('traffic that moved away starts a new evolution by itself', async () => {
  const told = ['steady', 'moved', 'steady'] as const;
  let looks = 0;
  const fake = fakes({
    observe: async () => ({ verdict: told[looks++] ?? 'steady', reason: 'points a message' }),
  });
  const watched = organizationInput('watched', { settings: settings({ observe_ms: 300 }) });
  await withEntity(environment, fake, watched, async (handle) => {
    await configure(handle);
    const again = await until(handle, 'evolved again', ({ outcomes }) => outcomes.length === 2);
    assert.deepEqual(
      again.outcomes.map(({ outcome }) => outcome),
      ['promoted', 'promoted'],
    );
    const quiet = await until(handle, 'looked on', (status) => {
      return settled(status) && status.observed?.verdict === 'steady';
    });
    assert.equal(quiet.outcomes.length, 2);
  });
  const [first] = (fake.inputs.observe ?? []) as { module: string; messages_min: number }[];
  assert.ok(first?.module);
  assert.equal(first.messages_min, watched.settings.training_min);
});
