import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ARMS } from './arms.ts';
import { CASES, workloadsOf } from './cases.ts';
import { jobsOf } from './schedule.ts';

test('every case with every seed; control arms for A, B and C', () => {
  const jobs = jobsOf({ cases: CASES, arms: ARMS, seeds: 2 });
  assert.equal(jobs.length, 2 * (3 * 3 + 2));
  assert.ok(jobs.slice(0, 11).every(({ seed }) => seed === 1));
  const names = jobsOf({ cases: ['a', 'mixed'], arms: ['search', 'independent'], seeds: 1 });
  assert.deepEqual(
    names.map(({ case: name, arm }) => `${name} ${arm}`),
    ['a search', 'a independent', 'mixed search'],
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
