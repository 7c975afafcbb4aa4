/** Components that a tenant brings, through the workflow of their organization. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities, ConcludeInput, ShadowInput, SignInput } from '../../activities/types.ts';
import * as m from '../../workflows/messages.ts';
import { type Handle, until, withEntity } from './entity.ts';
import { configuration, organizationInput, settings, startEnvironment } from './environment.ts';
import { deferred, type Fakes, fakes, ref, slow } from './fakes.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
before(async () => {
  environment = await startEnvironment();
});
after(() => environment.temporal.teardown());

const component = ref('component');
const brought = { component, name: 'guest.wasm' };

const ended = (handle: Handle) =>
  until(handle, 'ended', ({ outcomes, running }) => outcomes.length > 0 && running === null);

async function withOrganization(
  org: string,
  overrides: Partial<Activities>,
  run: (handle: Handle, fake: Fakes) => Promise<void>,
): Promise<void> {
  const fake = fakes(overrides);
  const quiet = settings({ evolve_on_configure: false });
  const input = organizationInput(org, { settings: quiet });
  await withEntity(environment, fake, input, async (handle) => {
    await handle.executeUpdate(m.configureUpdate, {
      args: [{ configuration: configuration('a') }],
    });
    await run(handle, fake);
  });
}

const submit = (handle: Handle) => handle.executeUpdate(m.submitUpdate, { args: [brought] });

test('what is right serves, however slow, and the search pauses', async () => {
  const right: Partial<Activities> = {
    benchmark: async ({ candidates: [one] }) => ({
      evidence: ref('evidence'),
      seconds: 1,
      candidates: [slow(one?.id ?? '')],
    }),
  };
  await withOrganization('brought', right, async (handle, fake) => {
    assert.deepEqual(await submit(handle), { generation: 1, workflow_id: 'brought/gen/1' });
    const status = await ended(handle);
    const [outcome] = status.outcomes;
    assert.equal(outcome?.outcome, 'promoted', outcome?.detail ?? '');
    assert.equal(outcome?.mutator, 'submitted');
    assert.deepEqual([status.active?.module, status.active?.version], [component.digest, 1]);
    assert.deepEqual([status.paused, status.paused_reason], [true, 'an own module serves']);
    assert.equal(status.budget_used.generations, 0);
    const [shadowed] = fake.inputs.shadow as ShadowInput[];
    assert.equal(shadowed?.foreign, true);
    const [{ subject } = {}] = fake.inputs.sign as SignInput[];
    assert.ok(subject?.of === 'candidate');
    assert.deepEqual(subject.origin.proof, { verdict: 'foreign' });
    // Nothing of it is a parent of anything.
    const [concluded] = fake.inputs.conclude as ConcludeInput[];
    assert.deepEqual([concluded?.candidates, concluded?.answers], [[], []]);
    const never = ['mutate', 'admit', 'build', 'prove', 'record', 'commit'];
    assert.deepEqual(
      never.filter((stage) => fake.calls[stage] !== undefined),
      [],
    );
    const again = handle.executeUpdate(m.rerunGenerationUpdate, { args: [{ generation: 1 }] });
    await rejected(again, /generation 1 was a submitted module: submit it again/);
  });
});

/** A gate that stops it: the outcome, and what is told of it. */
function stopped(
  name: string,
  overrides: Partial<Activities>,
  outcome: m.GenerationOutcome,
  detail: RegExp,
) {
  test(`stopped: ${name}`, async () => {
    await withOrganization(`stopped-${name.replaceAll(' ', '-')}`, overrides, async (handle) => {
      await submit(handle);
      const { outcomes, active, paused } = await ended(handle);
      assert.equal(outcomes[0]?.outcome, outcome, outcomes[0]?.detail ?? '');
      assert.match(outcomes[0]?.detail ?? '', detail);
      assert.deepEqual([active, paused], [null, false]);
    });
  });
}

const reason = 'import: wasi:sockets/tcp@0.2.6';
stopped(
  'an import',
  { checkModule: async () => ({ verdict: 'refused', rule: 'import', reason }) },
  'no-candidate',
  /^module refused: import: import: wasi:sockets\/tcp@0\.2\.6$/,
);
stopped(
  'too little traffic',
  { sample: async () => ({ verdict: 'insufficient', messages: 3 }) },
  'insufficient',
  /^3 training messages$/,
);
stopped(
  'wrong sums',
  {
    benchmark: async ({ candidates: [one] }) => ({
      evidence: ref('evidence'),
      seconds: 1,
      candidates: [{ id: one?.id ?? '', verdict: 'diverged', reason: 'message 4' }],
    }),
  },
  'no-candidate',
  /^benchmark diverged: message 4$/,
);
stopped(
  'held-back traffic',
  { shadow: async () => ({ verdict: 'fail' }) },
  'shadow-failed',
  /^shadow fail$/,
);
stopped(
  'an aggregator without the policy',
  {
    shadow: async () => ({ verdict: 'refused', reason: 'foreign-module', detail: '--wasi none' }),
  },
  'shadow-failed',
  /^shadow refused: foreign-module: --wasi none$/,
);

test('one waits at a time, and what is malformed is named', async () => {
  const gate = deferred();
  const held: Partial<Activities> = {
    checkModule: async () => {
      await gate.promise;
      return { verdict: 'pass' };
    },
  };
  await withOrganization('waiting', held, async (handle) => {
    await submit(handle);
    await until(handle, 'running', ({ running }) => running !== null);
    assert.equal((await submit(handle)).generation, 2);
    await rejected(submit(handle), /the submitted module guest\.wasm waits/);
    const bad = { component: { ...component, digest: 'abc' }, name: 'x' };
    const malformed = handle.executeUpdate(m.submitUpdate, { args: [bad] });
    await rejected(malformed, /component\.digest: "abc" is not a SHA-256 digest/);
    gate.resolve();
  });
});

async function rejected(update: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(update, (error) => {
    assert.ok(error instanceof WorkflowUpdateFailedError);
    assert.ok(error.cause instanceof ApplicationFailure);
    assert.match(error.cause.message, message);
    return true;
  });
}
