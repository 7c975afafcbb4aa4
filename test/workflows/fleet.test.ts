/** The fleet's life on a real Temporal server, and what it means for a tenant's own module. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { Activities, BenchmarkVerdict } from '../../activities/types.ts';
import { FLEET, NO_CONFIGURATION } from '../../workflows/level.ts';
import * as m from '../../workflows/messages.ts';
import { settled, until, withEntity } from './entity.ts';
import { configuration, organizationInput, settings, startEnvironment } from './environment.ts';
import { fakes, faster, ref } from './fakes.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
before(async () => {
  environment = await startEnvironment();
});
after(() => environment.temporal.teardown());

test('the fleet waits for tenants, evolves for no configuration, and is published', async () => {
  const looks = [3, 1, 0];
  const fake = fakes({
    captureStatus: async () => ({ training: 64, held_back: 64, evolving: looks.shift() ?? 0 }),
  });
  await withEntity(environment, fake, organizationInput(FLEET), async (handle) => {
    const status = await until(handle, 'settled', settled);
    assert.deepEqual(looks, [], 'it began before every tenant had settled');
    assert.equal(handle.workflowId, 'fleet');
    assert.equal(status.active?.version, 1);
    assert.equal(status.active?.configuration, NO_CONFIGURATION.digest);
    assert.equal(status.outcomes[0]?.workflow_id, 'fleet/gen/1');
    const of = (name: keyof Activities) => fake.inputs[name]?.[0] as Record<string, unknown>;
    assert.equal(of('sample').org, FLEET);
    assert.deepEqual(of('checkSource').corpus, { fit: ref('fit'), check: ref('check') });
    assert.equal(of('shadow').configuration, NO_CONFIGURATION.digest);
    const published = of('publish') as unknown as { org: string };
    assert.equal(published.org, FLEET);
  });
});

test('the fleet is changed and rolled back as an organization is; it has no rules', async () => {
  const fake = fakes();
  await withEntity(environment, fake, organizationInput(FLEET), async (handle) => {
    await until(handle, 'settled', settled);
    await handle.executeUpdate(m.evolveUpdate, { args: [{ budget: { generations: 2 } }] });
    await until(handle, 'promoted thrice', (it) => settled(it) && it.outcomes.length === 3);
    await handle.executeUpdate(m.setBudgetUpdate, { args: [{ budget: { stagnation: 2 } }] });
    const before = (await handle.query(m.statusQuery)).active;
    const reply = await handle.executeUpdate(m.rollbackUpdate, { args: [{}] });
    assert.deepEqual([reply.version, reply.kind], [4, 'rollback']);
    assert.notEqual(reply.module, before?.module);
    const paused = await handle.query(m.statusQuery);
    assert.equal(paused.paused, true);
    await handle.executeUpdate(m.resumeUpdate, { args: [{}] });
    const wrong = { configuration: NO_CONFIGURATION.digest, module: reply.module ?? '' };
    await handle.signal(m.moduleDemotedSignal, { ...wrong, reason: 'differs' });
    await until(
      handle,
      'without it',
      (it) => it.active?.kind === 'tombstone' || it.active?.version === 6,
    );
    const configured = handle.executeUpdate(m.configureUpdate, {
      args: [{ configuration: configuration() }],
    });
    await assert.rejects(configured, WorkflowUpdateFailedError);
  });
});

test('an organization that a candidate harms refuses it', async () => {
  const harmed = (id: string): BenchmarkVerdict => {
    const reason = 'organization 2 of 3 loses';
    return { ...faster(id), verdict: 'loses', reason } as BenchmarkVerdict;
  };
  const fake = fakes({
    benchmark: async ({ candidates }) => ({
      evidence: ref('benchmark'),
      seconds: 1,
      candidates: candidates.map(({ id }) => harmed(id)),
    }),
  });
  await withEntity(environment, fake, organizationInput(FLEET), async (handle) => {
    const status = await until(handle, 'settled', settled);
    assert.equal(status.outcomes[0]?.outcome, 'no-improvement');
    assert.deepEqual(status.outcomes[0]?.rejected, { benchmark: 2 });
    assert.equal(fake.calls.shadow, undefined);
  });
});

const challenges: [verdict: 'ahead' | 'overtaken' | 'wrong' | 'unchallenged', kind: string][] = [
  ['ahead', 'promote'],
  ['overtaken', 'tombstone'],
  ['wrong', 'promote'],
  ['unchallenged', 'promote'],
];
for (const [verdict, kind] of challenges) {
  test(`a tenant’s module that the fleet’s is held against: ${verdict}`, async () => {
    const challenge: Activities['challenge'] = async () => ({
      ...{ verdict, ratio: 1.02, ci95: [1, 1.04], fleet: 7 },
    });
    const fake = fakes({ challenge });
    const org = `held-${verdict}`;
    const limits = { settings: settings({ evolve_on_configure: true }) };
    await withEntity(environment, fake, organizationInput(org, limits), async (handle) => {
      await handle.executeUpdate(m.configureUpdate, { args: [{ configuration: configuration() }] });
      await until(handle, 'settled', settled);
      await handle.signal(m.fleetChangedSignal, { version: 7 });
      const status = await until(handle, 'challenged', (it) => it.challenged !== undefined);
      assert.equal(status.challenged?.verdict, verdict);
      const asked = fake.inputs.challenge?.[0] as { ratio_min: number; module: string };
      assert.equal(asked.ratio_min.toFixed(6), '1.050000');
      const published = fake.inputs.publish as { active: m.ActiveModule }[];
      assert.equal(published.at(1)?.active.kind ?? 'promote', kind);
      // Retired, it searches again, against what took its place.
      const again = verdict === 'overtaken' ? 2 : 1;
      await until(handle, 'settled', (it) => settled(it) && it.outcomes.length === again);
      await handle.signal(m.fleetChangedSignal, { version: 7 });
      assert.equal((await handle.query(m.statusQuery)).outcomes.length, again);
    });
  });
}
