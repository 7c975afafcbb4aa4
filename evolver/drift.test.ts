import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driftBetween, judgeDrift } from './drift.ts';
import { type TrafficProfile, UNKNOWN_TRAFFIC } from './profile.ts';

const BEFORE: TrafficProfile = {
  ...UNKNOWN_TRAFFIC,
  keys: [
    { key: 'host', presence: 1, cardinality: 40 },
    { key: 'env', presence: 0.9, cardinality: 3 },
  ],
  rules: [0.5, 0.25, 0],
};

const cases: [name: string, now: Partial<TrafficProfile>, least: number, most: number, RegExp][] = [
  ['nothing', {}, 0, 0, /nothing changed/],
  ['a few more points', { points: { median: 230, max: 300 } }, 0.15, 0.3, /points a message/],
  ['three times the points', { points: { median: 600, max: 600 } }, 1.5, 1.6, /200 → 600/],
  ['a key that went', { keys: BEFORE.keys.slice(0, 1) }, 1.7, 1.9, /presence of env: 90 % → 0 %/],
  [
    'a rare key that came',
    { keys: [...BEFORE.keys, { key: 'x', presence: 0.04, cardinality: 9 }] },
    0.05,
    0.1,
    /presence of x/,
  ],
  [
    'many more values',
    { keys: [{ key: 'host', presence: 1, cardinality: 400 }, ...BEFORE.keys.slice(1)] },
    3,
    3.5,
    /values of host/,
  ],
  ['hits that went elsewhere', { rules: [0, 0.25, 0.5] }, 1.3, 1.4, /67 % of the hits/],
  ['hits of before that are not known', { rules: [0.1] }, 0, 0, /nothing/],
];
for (const [name, now, least, most, reason] of cases) {
  test(`drift: ${name}`, () => {
    const found = driftBetween(BEFORE, { ...BEFORE, ...now });
    assert.ok(found.distance >= least && found.distance <= most, JSON.stringify(found));
    assert.match(found.reason, reason);
    const back = driftBetween({ ...BEFORE, ...now }, BEFORE);
    assert.ok(Math.abs(back.distance - found.distance) < 1e-9, 'as far there as back');
  });
}

test('a move, a shrunk advantage, and what is neither', () => {
  const limits = { distance: 1, advantage: 0.5 };
  const drift = (distance: number) => ({ distance, reason: 'r' });
  const judge = (distance: number | null, advantage: number | null, promised: number | null) =>
    judgeDrift({ drift: distance === null ? null : drift(distance), advantage, promised }, limits)
      .verdict;
  assert.equal(judge(1, 3, 3), 'moved');
  assert.equal(judge(0.99, 3, 3), 'steady');
  assert.equal(judge(null, null, null), 'steady');
  assert.equal(judge(0, 2, 3), 'steady', 'half of the gain is left');
  assert.equal(judge(0, 1.99, 3), 'shrunk');
  assert.equal(judge(null, 0.9, 3), 'shrunk');
  assert.equal(judge(0, 0.9, 0.95), 'steady', 'there was no gain to lose');
  assert.match(
    judgeDrift({ drift: null, advantage: 1, promised: 3 }, limits).reason ?? '',
    /3.00x/,
  );
});
