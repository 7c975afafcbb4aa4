import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantileMs, readHistogram, since, sum, total } from './latency.ts';

const exposition = (counts: readonly number[]) =>
  [
    '# TYPE ratchet_latency_seconds histogram',
    `ratchet_latency_seconds_sum 1.5`,
    ...['0.001', '0.002', '0.004', '+Inf'].map(
      (bound, i) => `ratchet_latency_seconds_bucket{le="${bound}"} ${counts[i]}`,
    ),
    'ratchet_message_seconds_bucket{le="1.0",org="acme"} 7',
  ].join('\n');

test('quantiles are interpolated within a bucket', () => {
  const histogram = readHistogram(exposition([100, 200, 400, 400]));
  const check = (share: number, expected: number) =>
    assert.ok(Math.abs(quantileMs(histogram, share) - expected) < 1e-9, `${share}`);
  check(0.25, 1);
  check(0.125, 0.5);
  check(0.5, 2);
  check(0.75, 3);
  check(1, 4);
  const beyond = readHistogram(exposition([0, 0, 0, 3]));
  assert.equal(quantileMs(beyond, 0.5), 4);
});

test('readings are subtracted and added', () => {
  const [before, after] = [exposition([1, 2, 3, 3]), exposition([2, 4, 6, 7])].map(readHistogram);
  assert.ok(before !== undefined && after !== undefined);
  assert.deepEqual(since(before, after).counts, [1, 2, 3, 4]);
  assert.deepEqual(sum([before, after]).counts, [3, 6, 9, 10]);
  assert.equal(total(after), 7);
});

test('an exposition without the histogram is an error', () => {
  assert.throws(() => readHistogram('ratchet_messages_total 3\n'), /no ratchet_latency_seconds/);
  assert.throws(() => sum([]), /no histograms/);
});
