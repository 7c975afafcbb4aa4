import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  costOf,
  curveOf,
  finalOf,
  geometricMean,
  isAhead,
  meanGain,
  median,
  pointwise,
  shareAt,
} from './curves.ts';

const step = (evaluations: number, ratio: number) => ({ evaluations, ratio });

test('a curve stays where it was until the next generation is done', () => {
  assert.deepEqual(
    curveOf([step(0, 1), step(4, 2), step(8, 3)], 9),
    [1, 1, 1, 1, 2, 2, 2, 2, 3, 3],
  );
  // A search that has nothing new to propose ends early.
  assert.deepEqual(curveOf([step(0, 1), step(2, 2)], 4), [1, 1, 2, 2, 2]);
  assert.equal(finalOf(curveOf([step(0, 1), step(4, 2)], 4)), 2);
  // What was taken for better was not.
  assert.deepEqual(curveOf([step(0, 1), step(1, 3), step(2, 2)], 2), [1, 3, 2]);
});

test('shares and costs are of the logarithm of the gain', () => {
  const curve = [1, 2, 2, 4, 4];
  const shares: [at: number, share: number][] = [
    [0, 0],
    [1, 0.5],
    [2, 0.5],
    [3, 1],
    [4, 1],
    [40, 1],
  ];
  for (const [at, share] of shares) assert.ok(Math.abs(shareAt(curve, at) - share) < 1e-12);
  const costs: [share: number, cost: number][] = [
    [0, 0],
    [0.5, 1],
    [0.8, 3],
    [1, 3],
  ];
  for (const [share, cost] of costs) assert.equal(costOf(curve, share), cost, `${share}`);
});

test('what gained nothing has no share of it, and no cost', () => {
  for (const curve of [
    [1, 1],
    [0.5, 0.9],
  ]) {
    assert.equal(shareAt(curve, 1), 0);
    assert.equal(costOf(curve, 0.8), -1);
  }
});

test('a loss at first is no negative share', () => {
  assert.equal(shareAt([0.5, 2], 0), 0);
});

test('means and medians', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 4]), 4);
  assert.equal(median([1, 4]), 2.5);
  assert.ok(Math.abs(geometricMean([1, 4]) - 2) < 1e-12);
  const curves = [
    [1, 2],
    [1, 8],
  ];
  assert.deepEqual(
    pointwise(curves, geometricMean).map((ratio) => Math.round(ratio)),
    [1, 4],
  );
  assert.deepEqual(pointwise([], median), []);
  assert.ok(Math.abs(meanGain([1, Math.E]) - 0.5) < 1e-12);
});

test('ahead is who reaches more, or as much and earlier', () => {
  const cases: [name: string, ours: number[][], theirs: number[][], ahead: boolean][] = [
    ['higher at the end', [[1, 1, 3]], [[1, 2.5, 2.5]], true],
    ['lower at the end', [[1, 2.5, 2.5]], [[1, 1, 3]], false],
    ['as high, and earlier', [[1, 3, 3]], [[1, 1, 3.03]], true],
    ['as high, and later', [[1, 1, 3.03]], [[1, 3, 3]], false],
    ['the same', [[1, 3]], [[1, 3]], false],
    [
      'the median counts',
      [
        [1, 4],
        [1, 4],
        [1, 1],
      ],
      [
        [1, 3],
        [1, 3],
        [1, 99],
      ],
      true,
    ],
  ];
  for (const [name, ours, theirs, ahead] of cases) assert.equal(isAhead(ours, theirs), ahead, name);
});
