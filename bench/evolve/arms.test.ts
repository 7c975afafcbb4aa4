import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSchema } from '../../activities/mutate/plan.ts';
import { seedRandom } from '../../evolver/random.ts';
import { ARMS, planOf } from './arms.ts';

const digest = (letter: string) => letter.repeat(64);
const relative = (letter: string, ratio: number) => ({
  ...{ id: `o/gen/1/${letter}`, source: digest(letter), ratio },
});

const slot = {
  ...{ index: 0, mutator: 'builtin', island: 1, parent: relative('a', 2), again: null },
  inspirations: [{ ...relative('b', 3), role: 'top' }],
  arm: { mutator: 'builtin', kind: 'cross', model: null, patch: 'crossover' },
  random: seedRandom('slot'),
};
const document = planSchema.parse({
  ...{ schema: 1, configuration: { digest: digest('c'), blob: digest('d') } },
  ...{ seed: digest('e'), profile: digest('f'), slots: [slot], novelty_tries: 3 },
  tried: [{ source: digest('a'), ratio: 2 }],
  known: [{ source: digest('a'), syntax: null }],
});

test('the search is planned as the product plans it', () => {
  assert.equal(planOf('search', document, relative('9', 9)), document);
});

test('an independent candidate is made of nothing that was measured', () => {
  const [only] = planOf('independent', document, relative('9', 9)).slots;
  assert.equal(only?.parent, null);
  assert.deepEqual(only?.inspirations, []);
  assert.equal(only?.arm?.kind, 'seed');
  assert.deepEqual(planOf('independent', document, null).tried, []);
});

test('a climber changes the best so far, and knows the worth of nothing else', () => {
  const plan = planOf('sequential', document, relative('9', 9));
  assert.deepEqual(plan.slots[0]?.parent, relative('9', 9));
  assert.deepEqual(plan.slots[0]?.inspirations, []);
  assert.equal(plan.slots[0]?.arm?.kind, 'mutate');
  assert.deepEqual(plan.tried, [{ source: digest('a'), ratio: null }]);
  // Before anything is better it starts from the first form.
  assert.equal(planOf('sequential', document, null).slots[0]?.parent, null);
});

test('all arms draw from the same random states, and repeat no source', () => {
  for (const arm of ARMS) {
    const plan = planOf(arm, document, null);
    assert.deepEqual(plan.slots[0]?.random, slot.random);
    assert.deepEqual(plan.known, document.known);
  }
});

test('the first form is the first candidate of every arm', () => {
  const first = { ...slot, mutator: 'specialise', parent: null, inspirations: [], arm: null };
  const planned = planSchema.parse({ ...document, slots: [first] });
  for (const arm of ARMS) assert.deepEqual(planOf(arm, planned, null).slots, planned.slots);
});
