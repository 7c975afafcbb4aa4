import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayPromote, promotionOrder } from './promotion.ts';
import { random, seedRandom } from './random.ts';
import {
  parentWeights,
  powerLaw,
  sampleParent,
  softmax,
  temperatureOf,
  weightedByScore,
} from './sampling.ts';
import { DEFAULT_SEARCH } from './search/settings.ts';

const ROWS = Array.from({ length: 40 }, (_, rank) => ({ id: rank }));

test('the generator is xoshiro128** 1.1', () => {
  // From the reference code, state 1, 2, 3, 4.
  const source = random({ algorithm: 'xoshiro128**', words: [1, 2, 3, 4] });
  const drawn = Array.from({ length: 4 }, () => source.next());
  assert.deepEqual(drawn, [11520, 0, 5927040, 70819200]);
});

test('states are values: stored and read again they go on alike', () => {
  const source = random(seedRandom('a'));
  source.next();
  const stored = JSON.parse(JSON.stringify(source.state()));
  const rest = Array.from({ length: 5 }, () => source.unit());
  const again = random(stored);
  assert.deepEqual(
    Array.from({ length: 5 }, () => again.unit()),
    rest,
  );
  assert.notDeepEqual(seedRandom('a'), seedRandom('b'));
});

test('a state that is none is refused', () => {
  for (const words of [
    [0, 0, 0, 0],
    [1, 2, 3],
    [1, 2, 3, -1],
    [1, 2, 3, 2 ** 32],
    [1, 2, 3, 0.5],
  ]) {
    const state = { algorithm: 'xoshiro128**', words } as unknown as Parameters<typeof random>[0];
    assert.throws(() => random(state), RangeError, String(words));
  }
});

test('weighted draws refuse weights that are none', () => {
  for (const weights of [[], [0, 0], [1, -1], [Number.NaN], [Number.POSITIVE_INFINITY]]) {
    assert.throws(() => random(seedRandom('w')).weighted(weights), RangeError, String(weights));
  }
  assert.equal(random(seedRandom('w')).weighted([0, 1, 0]), 1);
});

test('chances follow the power law', () => {
  const chances = powerLaw(40, 1);
  assert.ok(Math.abs((chances[0] ?? 0) - 0.2337) < 1e-4);
  assert.ok(Math.abs(chances.reduce((sum, each) => sum + each, 0) - 1) < 1e-12);
  assert.deepEqual(powerLaw(4, 0), [0.25, 0.25, 0.25, 0.25]);
  for (const [count, alpha] of [[0, 1] as const, [1.5, 1] as const, [3, -1] as const]) {
    assert.throws(() => powerLaw(count, alpha), RangeError);
  }
});

const byRank = (rows: readonly unknown[]) => powerLaw(rows.length, 1);

test('parents are drawn with these chances', () => {
  const draws = 20_000;
  const seen = new Array<number>(ROWS.length).fill(0);
  let state = seedRandom('parents');
  for (let draw = 0; draw < draws; draw++) {
    const sampled = sampleParent(ROWS, byRank, state);
    assert.ok(sampled);
    state = sampled.state;
    seen[sampled.rank] = (seen[sampled.rank] ?? 0) + 1;
  }
  for (const [rank, chance] of powerLaw(ROWS.length, 1).entries()) {
    const deviation = Math.sqrt(draws * chance * (1 - chance));
    const off = Math.abs((seen[rank] ?? 0) - draws * chance);
    assert.ok(off < 5 * deviation, `rank ${rank}: ${seen[rank]} of ${draws * chance}`);
  }
});

test('the same rows and state give the same parent; no row gives none', () => {
  const state = seedRandom('same');
  assert.deepEqual(sampleParent(ROWS, byRank, state), sampleParent(ROWS, byRank, state));
  assert.equal(sampleParent([], byRank, state), null);
});

const scored = (...scores: number[]) => scores.map((score) => ({ score, children: 0 }));

test('weighted: winners are drawn often, the less the more children they have', () => {
  const even = weightedByScore(scored(2, 2, 2), 10);
  assert.ok(
    even.every((weight) => Math.abs(weight - 1 / 3) < 1e-12),
    'equal scores, equal chances',
  );
  const [best = 0, , worst = 0] = weightedByScore(scored(3, 2, 1), 10);
  assert.ok(best > 0.6 && worst < 1e-3, `${best} ${worst}`);
  const [tired = 0, fresh = 0] = weightedByScore(
    [
      { score: 3, children: 3 },
      { score: 3, children: 0 },
      { score: 1, children: 0 },
    ],
    10,
  );
  assert.ok(Math.abs(fresh / tired - 4) < 1e-9);
  const far = weightedByScore(scored(1e9, 1, 1, 1), 1_000);
  assert.ok(far.every(Number.isFinite), String(far));
});

test('softmax: a cold one is greedy, a hot one is not; equal scores are equal', () => {
  const [cold = 0] = softmax(scored(3, 2, 1), 0.15);
  const [hot = 0] = softmax(scored(3, 2, 1), 1.2);
  assert.ok(cold > 0.9 && hot < 0.55, `${cold} ${hot}`);
  assert.deepEqual(softmax(scored(2, 2), 1), [0.5, 0.5]);
  assert.throws(() => softmax(scored(1), 0), RangeError);
});

test('the temperature falls over a cycle and starts again', () => {
  const at = (generation: number) => temperatureOf({ hot: 1.2, cold: 0.15, cycle: 8 }, generation);
  assert.ok(Math.abs(at(0) - 1.2) < 1e-12 && Math.abs(at(7) - 0.15) < 1e-12);
  assert.ok(at(3) < at(2) && at(8) === at(0));
  assert.equal(temperatureOf({ hot: 1.2, cold: 0.15, cycle: 1 }, 5), 0.15);
});

test('the settings name the method', () => {
  const rows = scored(3, 2, 1);
  const by = (sampling: 'power' | 'weighted' | 'softmax') =>
    parentWeights(rows, { ...DEFAULT_SEARCH, sampling }, 0);
  assert.deepEqual(by('power'), powerLaw(3, 1));
  assert.deepEqual(by('weighted'), weightedByScore(rows, 10));
  assert.deepEqual(by('softmax'), softmax(rows, 1.2));
});

test('only a lower bound above the threshold is promoted', () => {
  const check = (low: number, expected: boolean) =>
    assert.equal(mayPromote({ ci95: [low, 9] }), expected, String(low));
  check(1.1, false);
  check(1.1000001, true);
  check(0.9, false);
  check(Number.NaN, false);
  assert.equal(mayPromote({ ci95: [1.5, 2] }, 1.6), false);
});

test('the surest candidate is asked about first', () => {
  const row = (id: string, low: number, ratio: number) => ({
    id,
    ratio,
    ci95: [low, 3] as const,
  });
  const rows = [row('d', 1.3, 1.5), row('a', 1.05, 4), row('c', 1.6, 1.7), row('b', 1.3, 1.6)];
  assert.deepEqual(
    promotionOrder(rows).map(({ id }) => id),
    ['c', 'b', 'd'],
  );
});
