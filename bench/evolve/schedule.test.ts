import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ARMS } from './arms.ts';
import { budgetOf, CASES, workloadsOf } from './cases.ts';
import { jobsOf, minutesOf } from './schedule.ts';

test('every case with every seed; control arms for A, B and C', () => {
  const jobs = jobsOf({ cases: CASES, arms: ARMS, seeds: 2 });
  assert.deepEqual(
    jobs.map(({ case: name, arms, seed }) => `${name} ${arms.length} ${seed}`),
    [1, 2].flatMap((seed) =>
      ['a 3', 'b 3', 'c 3', 'mixed 1', 'generated 1', 'fleet 1'].map((each) => `${each} ${seed}`),
    ),
  );
  assert.deepEqual(jobsOf({ cases: ['mixed'], arms: ['sequential'], seeds: 3 }), []);
});

test('the organizations of a case: the same rules for every seed, and names of their own', () => {
  for (const name of CASES) {
    const [one, two] = [workloadsOf(name, 1, 4), workloadsOf(name, 2, 4)];
    assert.deepEqual(
      one.map(({ rules }) => rules),
      two.map(({ rules }) => rules),
    );
    assert.equal(new Set(one.map((each) => each.name)).size, one.length);
  }
  assert.equal(workloadsOf('mixed', 1, 4).length, 4);
  assert.equal(new Set(workloadsOf('mixed', 1, 50).map((each) => each.name)).size, 50);
  assert.equal(workloadsOf('generated', 1, 4).length, 3);
});

test('a fleet module is evolved on the workloads that it is told by, and on organizations', () => {
  const names = workloadsOf('fleet', 1, 2).map(({ name }) => name);
  assert.deepEqual(names, ['A', 'B', 'C', 'mixed-0', 'mixed-25']);
  assert.equal(budgetOf('fleet', 40), 60);
  assert.equal(budgetOf('fleet', 5), 7);
  assert.equal(budgetOf('a', 40), 40);
});

test('the time that a run takes: hill climbing more, several organizations more', () => {
  const minutes = (name: (typeof CASES)[number], arm: (typeof ARMS)[number]) => {
    const jobs = [{ case: name, arms: [arm], seed: 1 }];
    return minutesOf({ jobs, evaluations: 60, organizations: 5, messages: 96 });
  };
  assert.equal(minutes('a', 'search'), 3);
  assert.equal(minutes('a', 'sequential'), 5);
  assert.equal(minutes('mixed', 'search'), 13);
  assert.equal(minutes('fleet', 'search'), 12);
});
