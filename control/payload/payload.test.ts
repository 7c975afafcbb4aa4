import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../bench/workloads/random.ts';
import { generateMessage, workloadA, workloadB } from '../../bench/workloads/workloads.ts';
import { decodeMessage, encodeMessage, type Point, readCounts, type TagSet } from './payload.ts';
import { readRun, writeRun } from './streamvbyte.ts';

const set: TagSet = {
  metric: 'cpu',
  tags: [
    ['host', 'h-1'],
    ['ü', '€'],
  ],
};

const roundTrips: [name: string, sets: TagSet[], points: Point[]][] = [
  ['one point', [set], [{ set: 0, ts: 1_700_000_000_000, value: 0.1 }]],
  [
    'times that fall and rise, values of every kind',
    [set, { metric: 'cpu', tags: [] }],
    [
      { set: 1, ts: 5, value: -0 },
      { set: 0, ts: 0, value: Number.POSITIVE_INFINITY },
      { set: 1, ts: 3_600_000, value: Number.MIN_VALUE },
    ],
  ],
];

for (const [name, sets, points] of roundTrips) {
  test(`payload: ${name} comes back`, () => {
    const decoded = decodeMessage(encodeMessage(sets, points));
    assert.deepEqual(decoded.sets, sets);
    assert.deepEqual(
      decoded.points,
      points.map((point) => ({ ...point, count: 1 })),
    );
  });
}

const refused: [name: string, bytes: Uint8Array, reason: RegExp][] = [
  ['nothing', new Uint8Array(0), /magic number/],
  ['another format', new Uint8Array(64), /magic number/],
  [
    'a cut message',
    encodeMessage([set], [{ set: 0, ts: 1, value: 1 }]).slice(0, 60),
    /header says/,
  ],
];

for (const [name, bytes, reason] of refused) {
  test(`payload: ${name} is refused`, () => assert.throws(() => readCounts(bytes), reason));
}

test('payload: a message without points is refused', () => {
  assert.throws(() => encodeMessage([set], []), /at least one/);
});

test('streamvbyte: every length of number comes back', () => {
  const numbers = [0, 1, 255, 256, 65_535, 65_536, 16_777_215, 16_777_216, 4_294_967_295];
  assert.deepEqual([...readRun(writeRun(numbers), numbers.length)], numbers);
  assert.throws(() => readRun(writeRun(numbers).slice(0, 12), numbers.length), RangeError);
});

test('workloads: a seed gives the same message, another seed another', () => {
  const message = (seed: number) =>
    Buffer.from(generateMessage(workloadA(seed), 1e12, seededRandom(seed)).payload);
  assert.ok(message(1).equals(message(1)));
  assert.ok(!message(1).equals(message(2)));
});

test('workloads: B has 10 single keys, 45 pairs and 45 triples, each once', () => {
  const groups = workloadB(1).rules.map((rule) => rule.group_by.join(','));
  assert.equal(new Set(groups).size, 100);
  const sizes = workloadB(1).rules.map((rule) => rule.group_by.length);
  assert.deepEqual(
    [1, 2, 3].map((size) => sizes.filter((n) => n === size).length),
    [10, 45, 45],
  );
});
