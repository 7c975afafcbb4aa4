import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities, RecordInput } from '../../activities/types.ts';
import type { generation } from '../../workflows/generation.ts';
import {
  CONTROL_QUEUE,
  type GenerationInput,
  type GenerationResult,
  WORKFLOW,
} from '../../workflows/messages.ts';
import {
  configuration,
  generationInput,
  runGeneration,
  settings,
  startEnvironment,
  withWorkers,
} from './environment.ts';
import {
  attested,
  deferred,
  type Fakes,
  fakes,
  faster,
  ref,
  slow,
  Table,
  unattested,
} from './fakes.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
before(async () => {
  environment = await startEnvironment();
});
after(() => environment.temporal.teardown());

function run(fake: Fakes, given: GenerationInput, options = {}): Promise<GenerationResult> {
  return runGeneration(environment, fake, given, options);
}

function verdicts(result: GenerationResult): string[] {
  return result.candidates.map((it) => `${it.state} ${it.gate} ${it.verdict}`);
}

interface Case {
  overrides?: Partial<Activities>;
  outcome: GenerationResult['outcome'];
  verdicts: string[];
  detail?: RegExp;
}

const passed = 'passed benchmark faster';

const cases: Record<string, Case> = {
  promoted: { outcome: 'promoted', verdicts: [passed, 'promoted signature pass'] },
  'source refused': {
    overrides: {
      checkSource: async ({ candidate }) =>
        candidate.endsWith('c0')
          ? { verdict: 'refused', rule: 'unsafe', reason: 'no unsafe', line: 3, column: 1 }
          : { verdict: 'pass' },
    },
    outcome: 'promoted',
    verdicts: ['rejected source refused', 'promoted signature pass'],
  },
  'nothing builds': {
    overrides: {
      build: async () => ({ verdict: 'compile-error', reason: 'E0308', log: ref('l'), seconds: 1 }),
    },
    outcome: 'no-candidate',
    verdicts: ['rejected build compile-error', 'rejected build compile-error'],
  },
  'a build that cannot be carried out': {
    overrides: {
      build: async ({ candidate }) => {
        if (candidate.endsWith('c0')) throw ApplicationFailure.nonRetryable('no disk', 'Fault');
        return { verdict: 'built', component: ref(candidate), linked: ref('l'), seconds: 1 };
      },
    },
    outcome: 'promoted',
    verdicts: ['rejected build fault', 'promoted signature pass'],
  },
  'module refused': {
    overrides: {
      checkModule: async () => ({ verdict: 'refused', rule: 'import', reason: 'wasi' }),
    },
    outcome: 'no-candidate',
    verdicts: ['rejected module refused', 'rejected module refused'],
  },
  'proof refused': {
    overrides: {
      prove: async ({ candidates }) => ({
        candidates: candidates.map(({ id }) => unattested(id)),
      }),
    },
    outcome: 'no-candidate',
    verdicts: ['rejected proof refused', 'rejected proof refused'],
  },
  'of two codecs one is not proven': {
    overrides: {
      prove: async ({ candidates }) => ({
        candidates: candidates.map(({ id }, i) => (i === 0 ? attested(id) : unattested(id))),
      }),
    },
    outcome: 'promoted',
    verdicts: ['promoted signature pass', 'rejected proof refused'],
  },
  'a candidate that the proof says nothing of': {
    overrides: {
      prove: async ({ candidates }) => ({
        candidates: candidates.slice(0, 1).map(({ id }) => attested(id)),
      }),
    },
    outcome: 'promoted',
    verdicts: ['promoted signature pass', 'rejected proof fault'],
  },
  'diverged and slow': {
    overrides: {
      benchmark: async ({ candidates }) => ({
        evidence: ref('e'),
        seconds: 1,
        candidates: candidates.map(({ id }, index) =>
          index === 0 ? { id, verdict: 'diverged', reason: 'rule cpu' } : slow(id),
        ),
      }),
    },
    outcome: 'no-improvement',
    verdicts: ['rejected benchmark diverged', 'rejected benchmark slow'],
  },
  'second best passes the shadow': {
    overrides: {
      shadow: async ({ candidate }) => ({ verdict: candidate.endsWith('c1') ? 'fail' : 'pass' }),
    },
    outcome: 'promoted',
    verdicts: ['promoted signature pass', 'rejected shadow fail'],
  },
  'all fail the shadow': {
    overrides: { shadow: async () => ({ verdict: 'fail' }) },
    outcome: 'shadow-failed',
    verdicts: ['rejected shadow fail', 'rejected shadow fail'],
  },
  'too little held back': {
    overrides: { shadow: async () => ({ verdict: 'insufficient' }) },
    outcome: 'insufficient',
    verdicts: [passed, 'rejected shadow insufficient'],
  },
  'too little training': {
    overrides: { sample: async () => ({ verdict: 'insufficient', messages: 3 }) },
    outcome: 'insufficient',
    verdicts: [],
    detail: /^3 training messages$/,
  },
  'validator refuses to sign': {
    overrides: {
      sign: async () => ({ verdict: 'refused', reason: 'not-passed', detail: 'never asked' }),
    },
    outcome: 'refused',
    verdicts: [passed, 'rejected signature refused'],
    detail: /not-passed: never asked/,
  },
  'aggregator refuses': {
    overrides: { confirm: async () => ({ verdict: 'refused', reason: 'compile' }) },
    outcome: 'refused',
    verdicts: [passed, 'rejected signature refused'],
    detail: /^compile$/,
  },
  'nothing can be sampled': {
    overrides: {
      sample: async () => {
        throw ApplicationFailure.nonRetryable('object deadbeef', 'MissingObject');
      },
    },
    outcome: 'failed',
    verdicts: [],
    detail: /sample: MissingObject: object deadbeef/,
  },
  'no proposal': {
    overrides: { mutate: async () => ({ verdict: 'none', reason: 'exhausted' }) },
    outcome: 'no-candidate',
    verdicts: [],
  },
  'archive lost at the end': {
    overrides: {
      conclude: async () => {
        throw ApplicationFailure.nonRetryable('disk full', 'Disk');
      },
    },
    outcome: 'promoted',
    verdicts: [passed, 'promoted signature pass'],
    detail: /not in the archive: conclude: Disk: disk full/,
  },
};

for (const [name, expected] of Object.entries(cases)) {
  test(`generation: ${name}`, async () => {
    const fake = fakes(expected.overrides);
    const org = name.replaceAll(/[^a-z]/g, '-');
    const result = await run(fake, generationInput(org));
    assert.equal(result.outcome, expected.outcome, result.detail ?? '');
    assert.deepEqual(verdicts(result), expected.verdicts);
    if (expected.detail) assert.match(result.detail ?? '', expected.detail);
    assert.equal(fake.calls.conclude, 1);
    const told = result.outcome === 'promoted' ? result.promoted : null;
    assert.deepEqual(result.promoted, told);
    if (expected.outcome === 'promoted') assert.deepEqual(fake.table.active, result.promoted);
  });
}

test('a task that replays from the first event after every step ends the same', async () => {
  const fake = fakes();
  const result = await run(fake, generationInput('replaying'), { maxCachedWorkflows: 0 });
  assert.equal(result.outcome, 'promoted');
  assert.deepEqual([fake.calls.build, fake.calls.publish, fake.calls.shadow], [2, 1, 1]);
});

test('what is counted in a component comes to the archive with the answer', async () => {
  const instructions = {
    ...{ calls: 1, branches: 2, loops: 3, loads: 4, stores: 5 },
    ...{ bulk: 6, integers: 7, floats: 8, conversions: 9, vectors: 10 },
  };
  const fake = fakes({
    checkModule: async ({ candidate }) =>
      candidate.endsWith('c0') ? { verdict: 'pass' } : { verdict: 'pass', instructions },
  });
  assert.equal((await run(fake, generationInput('counted'))).outcome, 'promoted');
  const [recorded] = fake.inputs.record as RecordInput[];
  const policies = recorded?.answers.filter(({ gate }) => gate === 'module');
  assert.deepEqual(
    policies?.map((policy) => policy.instructions),
    [undefined, instructions],
  );
});

test('at most as many questions as allowed', async () => {
  const fake = fakes({ shadow: async () => ({ verdict: 'fail' }) });
  const given = generationInput('questions', {
    settings: settings({ candidates: 4, questions: 2 }),
  });
  const result = await run(fake, given);
  assert.equal(result.outcome, 'shadow-failed');
  assert.equal(fake.calls.shadow, 2);
});

test('twins are asked about once', async () => {
  const fake = fakes({
    build: async () => ({ verdict: 'built', component: ref('same'), linked: ref('l'), seconds: 1 }),
    shadow: async () => ({ verdict: 'fail' }),
  });
  assert.equal((await run(fake, generationInput('twins'))).outcome, 'shadow-failed');
  assert.equal(fake.calls.shadow, 1);
});

test('a lost write is signed again over a renewal, and given up over a decision', async () => {
  for (const kind of ['promote', 'tombstone'] as const) {
    const table = new Table();
    const serving = {
      version: 3,
      kind: 'promote' as const,
      configuration: configuration().digest,
      module: 'incumbent',
      size: 1,
      issued_at_ms: 1,
      expires_at_ms: 2,
      statement: 'statement:3:incumbent',
    };
    table.active = serving;
    table.revision = 7;
    const { sign } = fakes({}, table).activities;
    let first = true;
    const fake = fakes(
      {
        sign: async (given) => {
          if (first) {
            const module = kind === 'promote' ? 'incumbent' : null;
            table.active = { ...serving, version: 4, kind, module };
            table.revision += 1;
          }
          first = false;
          return await sign(given);
        },
      },
      table,
    );
    const given = generationInput(`lost-${kind}`, { incumbent: serving, active_version: 3 });
    const result = await run(fake, given);
    assert.equal(result.outcome, kind === 'promote' ? 'promoted' : 'conflict');
    assert.equal(table.active?.version, kind === 'promote' ? 5 : 4);
  }
});

test('a re-run uses the stored inputs and its own ids', async () => {
  const fake = fakes();
  const result = await run(fake, generationInput('again', { rerun: 2, inputs: ref('inputs 1') }));
  assert.equal(result.outcome, 'promoted');
  assert.deepEqual(
    [fake.calls.sample, fake.calls.mutate, fake.calls.readmit],
    [undefined, undefined, 1],
  );
  assert.equal(result.candidates[0]?.id, 'again/gen/1/r2/c0');
});

interface Rerun {
  from?: GenerationInput['from'];
  answers?: GenerationInput['answers'];
  /** The attempt before failed while the mutators were asked. */
  planned?: true;
  /** sample, plan, mutate, admit, build */
  calls: string;
  /** Of the build. */
  recorded?: string;
}

const reruns: Record<string, Rerun> = {
  'from the sample': { from: 'sample', calls: 'sample plan mutate mutate admit build build' },
  'from the plan': { from: 'mutate', calls: 'readmit mutate mutate admit build build' },
  'from the plan, because it ended there': {
    planned: true,
    calls: 'readmit mutate mutate admit build build',
  },
  'with fresh answers': {
    ...{ from: 'mutate', answers: 'fresh' },
    calls: 'readmit mutate mutate admit build build',
  },
  'from the components': {
    ...{ from: 'benchmark', calls: 'readmit build build' },
    recorded: 'again/gen/1/c0',
  },
};

for (const [name, { from, answers, planned, calls, recorded }] of Object.entries(reruns)) {
  test(`re-run ${name}`, async () => {
    const slots = [0, 1].map((index) => ({ index, mutator: 'builtin' as const, parent: null }));
    const stored = await fakes().activities.readmit({
      ...{ org: 'again', generation: 1, rerun: 0, configuration: configuration() },
      inputs: ref('inputs'),
    });
    const plan = { plan: ref('plan'), slots, growing: true as const };
    const order: string[] = [];
    const tell = <Given, Reply>(stage: string, act: (given: Given) => Reply) => {
      return (given: Given) => {
        order.push(stage);
        return act(given);
      };
    };
    const { activities } = fakes();
    const fake = fakes({
      sample: tell('sample', activities.sample),
      plan: tell('plan', async () => plan),
      mutate: tell('mutate', activities.mutate),
      admit: tell('admit', activities.admit),
      readmit: tell('readmit', async () => {
        return { ...stored, plan, candidates: planned ? [] : stored.candidates };
      }),
      build: tell('build', activities.build),
    });
    const how = { ...(from && { from }), ...(answers && { answers }) };
    const rerun = 1 + Object.keys(reruns).indexOf(name);
    const result = await run(
      fake,
      generationInput('again', { rerun, inputs: ref('inputs'), ...how }),
    );
    assert.equal(result.outcome, 'promoted', result.detail ?? '');
    assert.equal(order.join(' '), calls);
    assert.equal(result.growing, true, 'as the plan says');
    const [mutate] = (fake.inputs.mutate ?? []) as { answers?: string; recorded?: object }[];
    assert.equal(mutate?.answers, answers);
    const told = from === 'mutate' && answers === undefined;
    assert.equal(mutate?.recorded !== undefined, told, 'what was recorded is handed on');
    const [build] = (fake.inputs.build ?? []) as { recorded?: string; new_in?: string }[];
    assert.deepEqual([build?.recorded, build?.new_in], [recorded, undefined]);
  });
}

test('a component that is known is not measured again', async () => {
  const origin = {
    ...{ arm: null, patch: 'full', island: 0, inspirations: [], model: null },
    ...{ prompt: null, transcript: null, syntax: null },
  };
  const { activities } = fakes();
  const build: Activities['build'] = async ({ candidate, new_in }) => ({
    ...{ verdict: 'built', component: ref('same'), linked: ref('l'), seconds: 1 },
    ...(candidate.endsWith('c2') && new_in && { twin: 'novel/gen/0/c9' }),
  });
  const fake = fakes({
    build,
    mutate: async (given) => {
      const answer = await activities.mutate(given);
      if (answer.verdict === 'none') return answer;
      return { ...answer, candidate: { ...answer.candidate, origin } };
    },
  });
  const given = generationInput('novel', { settings: settings({ candidates: 3 }) });
  const result = await run(fake, given);
  assert.deepEqual(verdicts(result), [
    'promoted signature pass',
    'rejected build duplicate',
    'rejected build duplicate',
  ]);
  assert.match(result.candidates[1]?.reason ?? '', /of novel\/gen\/1\/c0 again/);
  assert.match(result.candidates[2]?.reason ?? '', /of novel\/gen\/0\/c9 again/);
});

test('a cancelled generation says where, and is recorded', async () => {
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
  const { client } = environment.temporal;
  const result = await withWorkers(environment, fake.activities, async () => {
    const handle = await client.workflow.start<typeof generation>(WORKFLOW.generation, {
      workflowId: 'cancelled/gen/1',
      taskQueue: CONTROL_QUEUE,
      args: [generationInput('cancelled')],
    });
    await started.promise;
    await handle.cancel();
    return await handle.result();
  });
  assert.equal(result.outcome, 'cancelled');
  assert.equal(result.detail, 'during build');
  assert.equal(fake.calls.conclude, 1);
  assert.equal(fake.calls.benchmark, undefined);
});

test('the details in the Temporal UI and the search attributes tell the story', async () => {
  const fake = fakes({
    benchmark: async ({ candidates }) => ({
      evidence: ref('e'),
      seconds: 1,
      candidates: candidates.map(({ id }) => faster(id, 3)),
    }),
  });
  await run(fake, generationInput('story'));
  const { client } = environment.temporal;
  const description = await client.workflow.getHandle('story/gen/1').describe();
  const attributes = description.typedSearchAttributes;
  const values = Object.fromEntries(attributes.getAll().map(({ key, value }) => [key.name, value]));
  assert.equal(values.Outcome, 'promoted');
  assert.equal(values.Stage, 'done');
});
