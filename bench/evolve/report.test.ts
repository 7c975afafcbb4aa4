import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Arm } from './arms.ts';
import type { CaseName } from './cases.ts';
import { curvesOf, type Evidence, metricsOf, type Run, table } from './report.ts';

const operator = 'seed:match=bits64';

/** A search that is at `half` after 2 of 4 evaluations. */
function run(name: CaseName, arm: Arm, seed: number, half: number, end: number, of = ''): Run {
  const at = (evaluations: number, ratio: number) => ({
    ...{ evaluations, ratio, operator, component: null },
  });
  const steps = [at(0, 1), at(2, half), at(4, end)];
  return { case: name, organization: `${name}${of}`, arm, seed, steps, rejected: {} };
}

const pace = { candidates: 10, ms: 15_000 };
const evidence = (runs: Run[]): Evidence => ({ evaluations: 4, runs, pace });

const runs = [
  ...[run('a', 'search', 1, 2, 4), run('a', 'search', 2, 4, 4), run('a', 'search', 3, 4, 5)],
  ...[run('a', 'independent', 1, 2, 3), run('a', 'sequential', 1, 2, 3)],
  ...[
    run('b', 'search', 1, 3, 3),
    run('b', 'independent', 1, 4, 4),
    run('b', 'sequential', 1, 2, 2),
  ],
  ...[run('mixed', 'search', 1, 2, 2, '-1'), run('mixed', 'search', 1, 4, 8, '-2')],
  run('generated', 'search', 1, 2, 7),
];

test('the metrics of the last line', () => {
  assert.deepEqual(metricsOf(evidence(runs)), {
    builtin_a: 4,
    builtin_b: 3,
    // The geometric mean of 2 and 8.
    builtin_mixed: 4,
    // Of mixed: the logarithm of √8 beside that of 4.
    share_at_20: 0.75,
    cases_ahead_of_both_arms: 1,
    candidates_per_minute: 40,
  });
});

test('a fleet module is told by what it is worth to each', () => {
  const fleet = (seed: number, a: number, c: number): Run => ({
    ...run('fleet', 'search', seed, 2, 3),
    worth: { a, b: 2, c },
  });
  const metrics = metricsOf(evidence([fleet(1, 2, 9), fleet(2, 3, 1), fleet(3, 1, 5)]));
  assert.deepEqual(metrics, { fleet_a: 2, fleet_b: 2, fleet_c: 5, candidates_per_minute: 40 });
  // Its own curve is half as long again.
  assert.equal(curvesOf(evidence([fleet(1, 2, 9)]), 'fleet', 'search')[0]?.length, 7);
});

test('what was left out has no metric', () => {
  assert.deepEqual(metricsOf({ ...evidence([run('c', 'search', 1, 2, 2)]), pace: none }), {
    builtin_c: 2,
    share_at_20: 1,
  });
  assert.deepEqual(metricsOf({ ...evidence([]), pace: none }), {});
  // One arm is no comparison with both.
  const some = [run('a', 'search', 1, 2, 2), run('a', 'independent', 1, 2, 2)];
  assert.equal(metricsOf(evidence(some)).cases_ahead_of_both_arms, undefined);
});
const none = { candidates: 0, ms: 0 };

test('curves come seed by seed', () => {
  assert.deepEqual(
    curvesOf(evidence(runs), 'a', 'search').map((curve) => curve.at(-1)),
    [4, 4, 5],
  );
  assert.deepEqual(curvesOf(evidence(runs), 'c', 'search'), []);
});

test('what came of one race of all counts, where there was one', () => {
  const chosen = run('a', 'search', 1, 2, 4);
  const steps = chosen.steps.map((step, at) => (at === 2 ? { ...step, told: 3 } : step));
  const [curve] = curvesOf(evidence([{ ...chosen, steps }]), 'a', 'search');
  assert.deepEqual(curve?.map(Math.round), [1, 1, 2, 2, 3]);
});

test('the table has a line for each case and arm', () => {
  const lines = table(evidence(runs)).trimEnd().split('\n');
  assert.equal(lines.length, 1 + 3 + 3 + 1 + 1);
  assert.match(lines[1] ?? '', /^a +search +4\.00 4\.00 5\.00 +1\.00 +4\.00 +4\.00 +2 +0\.86$/);
});
