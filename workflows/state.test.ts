import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ActiveModule,
  DEFAULT_BUDGET,
  DEFAULT_SETTINGS,
  type GenerationOutcome,
  type GenerationResult,
  WIRE_SCHEMA,
} from './messages.ts';
import * as s from './state.ts';

const digestOf = (name: string) => name.padEnd(64, '0');

function configurationRef(name: string) {
  const digest = digestOf(name);
  const blob = { digest, size: 1, mediaType: 'x' };
  return { digest, blob, rules: 1, effective_from_ms: 0 };
}

function initial(changes: Partial<typeof DEFAULT_SETTINGS> = {}): s.OrganizationState {
  return s.initialState({
    ...{ schema: WIRE_SCHEMA, org: 'acme', evolver_queue: 'evolver-a' },
    ...{ settings: { ...DEFAULT_SETTINGS, ...changes }, budget: DEFAULT_BUDGET },
  });
}

function evolving(): s.OrganizationState {
  const configured = s.configure(initial(), configurationRef('a'));
  return s.captured(configured, { training: 64, held_back: 64 });
}

function active(version: number, module: string | null, name = 'a'): ActiveModule {
  const kind = module === null ? 'tombstone' : 'promote';
  return {
    ...{ version, kind, configuration: digestOf(name), module, size: 1 },
    ...{ issued_at_ms: 1_000, expires_at_ms: 3_000, statement: `s${version}` },
  };
}

function begun(state: s.OrganizationState, now_ms = 10): s.OrganizationState {
  const step = s.nextStep(state, now_ms);
  assert.equal(step.step, 'generation');
  if (step.step !== 'generation') throw new Error('unreachable');
  return s.beginGeneration(state, step.what, now_ms);
}

function ended(
  state: s.OrganizationState,
  outcome: GenerationOutcome,
  changes: Partial<GenerationResult> = {},
): s.OrganizationState {
  const { generation = 0, rerun = 0 } = state.running ?? {};
  return s.endGeneration(state, {
    ...{ org: 'acme', generation, rerun, configuration: digestOf('a'), outcome, detail: null },
    ...{ started_ms: 10, ended_ms: 20, candidates: [], promoted: null, unconfirmed: null },
    ...{ inputs: null, benchmark: null },
    ...changes,
  });
}

test('from a configuration over captured traffic to generations', () => {
  assert.deepEqual(s.nextStep(initial(), 0), { step: 'wait', until_ms: null });
  const configured = s.configure(initial(), configurationRef('a'));
  assert.deepEqual([configured.stage, s.nextStep(configured, 0).step], ['capturing', 'capture']);
  const some = s.captured(configured, { training: 500, held_back: 63 });
  assert.equal(some.stage, 'capturing');
  const running = begun(evolving());
  assert.deepEqual(running.running, { generation: 1, rerun: 0 });
  assert.equal(s.runningId(running), 'acme/gen/1');
  assert.equal(s.nextStep(running, 10).step, 'wait');
  assert.equal(s.configure(running, configurationRef('a')), running, 'the same changes nothing');
});

const endings: Record<string, { outcomes: GenerationOutcome[]; stage: string; reason: RegExp }> = {
  'generations used': {
    outcomes: Array(DEFAULT_BUDGET.generations).fill('no-improvement'),
    stage: 'settled',
    reason: /budget of 6 generations/,
  },
  'no promotion, no stagnation': {
    outcomes: Array(5).fill('no-improvement'),
    stage: 'evolving',
    reason: /null/,
  },
  stagnation: {
    outcomes: ['promoted', 'no-improvement', 'shadow-failed', 'conflict'],
    stage: 'settled',
    reason: /3 generations without improvement/,
  },
  'a promotion ends stagnation': {
    outcomes: ['promoted', 'no-candidate', 'no-candidate', 'promoted', 'no-candidate'],
    stage: 'evolving',
    reason: /null/,
  },
  'failures one after another': {
    outcomes: ['failed', 'failed', 'failed'],
    stage: 'settled',
    reason: /3 generations failed/,
  },
  'cancelled ones cost nothing': {
    outcomes: Array(12).fill('cancelled'),
    stage: 'evolving',
    reason: /null/,
  },
  'too little held-back traffic': {
    outcomes: ['insufficient'],
    stage: 'capturing',
    reason: /null/,
  },
};

for (const [name, { outcomes, stage, reason }] of Object.entries(endings)) {
  test(`budget: ${name}`, () => {
    const last = outcomes.reduce((state, outcome) => ended(begun(state), outcome), evolving());
    assert.equal(last.stage, stage);
    assert.match(String(last.settled_reason), reason);
    assert.equal(last.outcomes.length, outcomes.length);
  });
}

test('budget: time and target', () => {
  const late = ended(begun(evolving(), 0), 'no-improvement', { ended_ms: 15 * 60_000 });
  assert.match(late.settled_reason ?? '', /budget of 900 s/);
  const wanted = s.setBudget(evolving(), { ...DEFAULT_BUDGET, target_ratio: 2 });
  const candidate = { state: 'promoted', ratio_to_baseline: 2.5, gate: null } as never;
  const reached = ended(begun(wanted), 'promoted', { candidates: [candidate] });
  assert.equal(reached.settled_reason, 'target ratio reached');
  const again = s.evolve(reached, DEFAULT_BUDGET);
  assert.deepEqual([again.stage, again.used.generations], ['capturing', 0]);
});

const limits: [name: string, budget: object, reason: RegExp][] = [
  ['dollars', { usd: 1.5 }, /budget of \$1.5 used/],
  ['no dollars', { usd: 0 }, /budget of \$0 used/],
  ['tokens', { tokens: 3_000 }, /budget of 3000 tokens used/],
  ['evaluations', { evaluations: 8 }, /budget of 8 evaluations used/],
  ['none of them', { usd: 1.6, tokens: 3_001, evaluations: 9 }, /null/],
];
for (const [name, budget, reason] of limits) {
  test(`budget: ${name}`, () => {
    let state = s.setBudget(evolving(), { ...DEFAULT_BUDGET, ...budget });
    const spent = { micro_usd: 750_000, tokens: 1_500, evaluations: 4 };
    for (let turn = 0; turn < 2 && state.stage === 'evolving'; turn++) {
      state = ended(begun(state), 'no-improvement', { spent });
    }
    assert.match(String(state.settled_reason), reason);
    const again = s.evolve(state, state.budget);
    assert.equal(s.budgetUsed(again, 10).usd, 0, 'a request to evolve starts a fresh count');
  });
}

test('what is left bounds the next generation', () => {
  const budget = { ...DEFAULT_BUDGET, usd: 1, tokens: 100, evaluations: 6 };
  const state = s.setBudget(evolving(), budget);
  const spent = { micro_usd: 250_000, tokens: 120, evaluations: 4 };
  const after = ended(begun(state), 'no-improvement', { spent });
  const nothing = s.remaining(after);
  assert.deepEqual(nothing, { allowance: { usd: 0.75, tokens: 0 }, candidates: 2 });
  assert.deepEqual(s.remaining(s.setBudget(after, DEFAULT_BUDGET)), {
    allowance: { usd: null, tokens: null },
    candidates: DEFAULT_SETTINGS.candidates,
  });
});

test('generation 0 counts neither as a generation nor as stagnation', () => {
  let state = ended(begun(evolving()), 'promoted');
  state = ended(begun(state), 'no-improvement', { unevolved: true });
  assert.deepEqual([state.used.generations, state.used.stagnation], [1, 0]);
  const first = ended(begun(evolving()), 'promoted', { unevolved: true });
  assert.deepEqual([first.used.generations, first.used.promoted], [0, true]);
});

test('a generation that was held small is no stagnation, but counts as a generation', () => {
  const first = ended(begun(evolving()), 'promoted');
  const growing = ended(begun(first), 'no-improvement', {
    ...{ growing: true, candidates: [{ state: 'rejected', gate: 'benchmark' } as never] },
  });
  assert.deepEqual([growing.used.generations, growing.used.stagnation], [2, 0]);
  const whole = ended(begun(growing), 'no-improvement');
  assert.deepEqual([whole.used.generations, whole.used.stagnation], [3, 1]);
  const empty = ended(begun(growing), 'no-candidate', { growing: true, candidates: [] });
  assert.equal(empty.used.stagnation, 1, 'nothing was found');
});

test('too little held-back traffic asks for more, within what can be captured', () => {
  let state = evolving();
  for (let turn = 0; turn < 5; turn++) {
    state = ended(begun(state), 'insufficient');
    state = s.captured(state, { training: 512, held_back: 512 });
  }
  assert.equal(state.held_back_wanted, 384);
});

test('a new configuration starts over and drops what was queued for the old one', () => {
  let state = ended(begun(evolving()), 'failed');
  state = s.enqueueRerun(state, { generation: 1 });
  assert.deepEqual(state.queue, [{ generation: 1, rerun: 1, inputs: null }]);
  state = s.configure(state, configurationRef('b'));
  assert.deepEqual([state.stage, state.queue.length, state.failures], ['capturing', 0, 0]);
  const off = s.configure(initial({ evolve_on_configure: false }), configurationRef('a'));
  assert.equal(off.stage, 'settled');
});

test('a generation that outlives its configuration counts in the record only', () => {
  const state = s.configure(begun(evolving()), configurationRef('b'));
  const after = ended(state, 'cancelled', { configuration: digestOf('a') });
  assert.deepEqual([after.stage, after.outcomes.length], ['capturing', 1]);
});

test('re-runs are numbered, come first, and cost no budget', () => {
  let state = ended(begun(evolving()), 'failed', { inputs: configurationRef('i').blob });
  state = s.enqueueRerun(s.enqueueRerun(state, { generation: 1 }), { generation: 1 });
  assert.deepEqual(
    state.queue.map(({ rerun }) => rerun),
    [1, 2],
  );
  state = begun(state);
  assert.equal(s.runningId(state), 'acme/gen/1/r1');
  state = ended(state, 'promoted');
  assert.deepEqual([state.used.generations, state.generation], [1, 1]);
  const from = { from: 'mutate', answers: 'fresh' } as const;
  const queued = s.enqueueRerun(state, { generation: 1, ...from }).queue.at(-1);
  assert.deepEqual([queued?.rerun, queued?.from, queued?.answers], [3, 'mutate', 'fresh']);
  assert.throws(() => s.enqueueRerun(state, { generation: 7 }), /generation 7 is not known/);
});

test('where a rollback leads', () => {
  let state = evolving();
  for (const [version, module] of [
    [1, 'm1'],
    [2, 'm2'],
    [3, 'm3'],
  ] as const) {
    state = s.adoptActive(state, active(version, module));
  }
  assert.equal(s.rollbackTarget(state, null)?.version, 2);
  assert.equal(s.rollbackTarget(state, 1)?.module, 'm1');
  assert.equal(s.rollbackTarget(state, 9), null);
  const back = s.adoptActive(state, { ...active(4, 'm2'), kind: 'rollback' });
  assert.equal(s.rollbackTarget(back, null)?.module, 'm1', 'before what serves, not before 3');
  const wrong = { configuration: digestOf('a'), module: 'm1', reason: '' };
  assert.equal(s.rollbackTarget(s.demote(back, wrong), null), null, 'never to a demoted one');
  const renewed = s.adoptActive(state, active(5, 'm3'));
  assert.equal(renewed.promotions.length, 3, 'a renewal is no new place to return to');
  assert.equal(s.adoptActive(state, active(2, 'older')), state, 'versions only rise');
  const retired = s.adoptActive(state, active(6, null));
  assert.equal(s.incumbent(retired), null);
  const foreign = s.configure(state, configurationRef('b'));
  assert.equal(s.incumbent(foreign), null);
  assert.equal(s.rollbackTarget(foreign, null), null);
});

test('a manifest is renewed at half its life, also while paused', () => {
  const state = s.pause(s.adoptActive(evolving(), active(1, 'm1')), 'why');
  assert.deepEqual(s.nextStep(state, 1_999), { step: 'wait', until_ms: 2_000 });
  assert.deepEqual(s.nextStep(state, 2_000), { step: 'renew' });
  const later = { ...state, renew_not_before_ms: 5_000 };
  assert.deepEqual(s.nextStep(later, 2_000), { step: 'wait', until_ms: 5_000 });
});

test('pausing keeps the stage; resuming forgets the reason', () => {
  const paused = s.pause(evolving(), 'why');
  assert.deepEqual(s.nextStep(paused, 0), { step: 'wait', until_ms: null });
  assert.throws(() => s.beginGeneration(paused, { generation: 1, rerun: 0, inputs: null }, 0));
  const resumed = s.resume(paused);
  assert.deepEqual([resumed.paused_reason, s.nextStep(resumed, 0).step], [null, 'generation']);
});

test('a settled organization watches its traffic; what moved starts a new evolution', () => {
  const budget = { ...DEFAULT_BUDGET, generations: 1 };
  let state = ended(begun(s.setBudget(evolving(), budget)), 'promoted');
  state = s.adoptActive(state, { ...active(1, 'm'), expires_at_ms: 90_000 });
  assert.deepEqual(s.nextStep(state, 10), { step: 'wait', until_ms: 45_500 });
  const watching = { ...state, observe_at_ms: 500 };
  assert.deepEqual(s.nextStep(watching, 10), { step: 'wait', until_ms: 500 });
  assert.deepEqual(s.nextStep(watching, 500), { step: 'observe' });
  assert.equal(s.nextStep(s.pause(watching, null), 500).step, 'wait');
  assert.equal(s.nextStep(s.adoptActive(watching, active(2, null)), 500).step, 'wait');
  const seen = { at_ms: 500, reason: 'r' };
  assert.equal(s.observed(watching, { ...seen, verdict: 'steady' }).stage, 'settled');
  assert.equal(s.observed(watching, { ...seen, verdict: 'insufficient' }).stage, 'settled');
  for (const verdict of ['moved', 'shrunk'] as const) {
    const next = s.observed(watching, { ...seen, verdict });
    assert.deepEqual([next.stage, next.used.generations], ['capturing', 0], verdict);
    assert.equal(next.observed?.verdict, verdict);
  }
  const settings = { ...watching.settings, evolve_on_configure: false };
  assert.equal(
    s.observed({ ...watching, settings }, { ...seen, verdict: 'moved' }).stage,
    'settled',
  );
});

test('what is kept is bounded and survives as plain JSON', () => {
  let state = s.setBudget(evolving(), { ...DEFAULT_BUDGET, generations: 1_000 });
  for (let turn = 0; turn < 30; turn++) state = ended(begun(state), 'no-improvement');
  for (let turn = 0; turn < 100; turn++) state = s.remember(state, `r${turn}`, { turn });
  for (let turn = 1; turn < 30; turn++) state = s.adoptActive(state, active(turn, `m${turn}`));
  assert.deepEqual(
    [state.outcomes.length, state.answers.length, state.promotions.length],
    [s.OUTCOMES_MAX, s.ANSWERS_MAX, s.PROMOTIONS_MAX],
  );
  const carried = JSON.parse(JSON.stringify(state));
  const input = {
    ...{ schema: WIRE_SCHEMA, org: 'acme', evolver_queue: 'evolver-a', carried },
    ...{ settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET },
  };
  assert.deepEqual(s.openState(input), state);
  assert.throws(() => s.openState({ ...input, org: 'globex' }), /that of acme/);
  const old = { ...input, carried: { ...carried, schema: 0 } };
  assert.throws(() => s.openState(old), /schema 0/);
});

test('another module of the fleet is held against the own one, once', () => {
  const served = s.adoptActive(evolving(), active(1, 'm1'));
  const changed = s.fleetChanged(s.fleetChanged(served, 4), 3);
  assert.equal(changed.challenger, 4);
  assert.equal(s.nextStep(changed, 10).step, 'challenge');
  assert.equal(s.nextStep(s.pause(changed, null), 10).step, 'wait', 'a pause is a decision');
  assert.equal(s.nextStep(begun(s.fleetChanged(evolving(), 4)), 10).step, 'wait');
  const none = s.fleetChanged(evolving(), 4);
  assert.equal(s.nextStep(none, 10).step, 'generation', 'nothing to be held against');
  const seen = { at_ms: 9, verdict: 'ahead' as const, ratio: 2, ci95: null, fleet: 4 };
  const held = s.challenged(changed, seen);
  assert.deepEqual([held.challenger, held.challenged], [undefined, seen]);
  assert.equal(s.nextStep(held, 10).step, 'generation');
  const meanwhile = s.challenged(s.fleetChanged(changed, 5), seen);
  assert.equal(meanwhile.challenger, 5, 'what came up meanwhile is still to be done');
  const { fleet: _, ...unchallenged } = { ...seen, verdict: 'unchallenged' as const };
  assert.equal(s.challenged(changed, { ...unchallenged, fleet: null }).challenger, undefined);
});

test('the fleet is of no configuration, and lets tenants go first', () => {
  const input = { schema: WIRE_SCHEMA, org: 'fleet', evolver_queue: 'evolver-a' };
  const limits = { settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET };
  const state = s.openState({ ...input, ...limits });
  assert.deepEqual([state.stage, state.configuration?.digest], ['capturing', '0'.repeat(64)]);
  const waiting = s.captured(state, { training: 64, held_back: 64, evolving: 2 });
  assert.equal(s.nextStep(waiting, 0).step, 'capture');
  const begins = s.captured(waiting, { training: 64, held_back: 64, evolving: 0 });
  assert.equal(s.nextStep(begins, 0).step, 'generation');
  const spent = { ...begins, stage: 'settled' as const, settled_reason: 'spent' };
  assert.equal(
    s.nextStep({ ...spent, observe_at_ms: 5 }, 5).step,
    'observe',
    'without a module too',
  );
  const promoted = s.adoptActive(begins, { ...active(1, 'm1'), configuration: '0'.repeat(64) });
  assert.equal(s.incumbent(promoted)?.module, 'm1');
  const self = s.openState({ ...input, ...limits, carried: promoted });
  assert.equal(self.active?.module, 'm1');
});
