/** An interrupted contest leaves no load behind: a flood that goes on would hold the process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { workloadA } from '../workloads/workloads.ts';
import { contest, medianAddedMs, middleRound, type Pair, planOf } from './contest.ts';
import { FakeServer } from './fake-server.fixture.ts';
import type { Histogram } from './latency.ts';
import { Templates } from './templates.ts';

test('an interruption ends the load', async () => {
  const interrupt = new AbortController();
  let published = 0;
  const answering = new FakeServer(() => {
    published += 1;
    if (published === 1) setTimeout(() => interrupt.abort(), 20);
    return '{"stream":"INGEST","seq":1}';
  });
  const bench = {
    producer: answering.connection,
    org: 'acme',
    aggregator: 'http://127.0.0.1:1',
    templates: new Templates(workloadA(7), 1, 7),
    swapper: { swap: () => Promise.reject(new Error('not yet')) },
    keptPerSecond: () => Promise.resolve(1_000),
    say: () => undefined,
    signal: interrupt.signal,
  };
  const plan = { rounds: 1, slices: 1, sliceMs: 1_000, swaps: 1, share: 0.5 };
  await assert.rejects(contest(bench, plan), { name: 'AbortError' });
  const before = published;
  await sleep(50);
  assert.equal(published, before);
});

test('one pair of slices does not decide the median of the pairs', () => {
  const slice = (slow: number) => ({
    bounds: [0.001, 0.01, 1],
    counts: [1_000 - slow, 1_000, 1_000],
  });
  const stalled = { bounds: [0.001, 0.01, 1], counts: [900, 900, 1_000] };
  const pair = (quiet: Histogram, swapping: Histogram) => ({ quiet, swapping });
  const same = pair(slice(0), slice(0));
  const check = (pairs: readonly Pair[], expected: (added: number) => boolean) =>
    assert.ok(expected(medianAddedMs(pairs)), `${medianAddedMs(pairs)}`);
  check([same, same, pair(slice(0), stalled)], (added) => added === 0);
  check([same, same, pair(stalled, slice(0))], (added) => added === 0);
  const slower = pair(slice(0), slice(100));
  check([slower, slower, pair(stalled, slice(0))], (added) => added > 5 && added < 10);
});

test('one round in which the machine stands still does not decide', () => {
  const histogram = (slow: number) => ({
    bounds: [0.001, 0.01, 1],
    counts: [10_000 - slow, 10_000, 10_000],
  });
  const round = (slowWithout: number, slowWith: number) => ({
    swaps: 1,
    swapMaxMs: 1,
    pairs: [{ quiet: histogram(slowWithout), swapping: histogram(slowWith) }],
  });
  const check = (slow: readonly [number, number][], expected: number) => {
    const rounds = slow.map(([without, swapping]) => round(without, swapping));
    assert.equal(middleRound(rounds), rounds[expected]);
  };
  check([[0, 20]], 0);
  check(
    [
      [20, 21],
      [0, 5_000],
      [20, 20],
    ],
    0,
  );
  check(
    [
      [5_000, 20],
      [20, 21],
      [20, 20],
    ],
    2,
  );
  check(
    [
      [0, 0],
      [0, 5_000],
    ],
    1,
  );
  assert.throws(() => middleRound([]), /has a round/);
});

test('every slice with swaps has one', () => {
  const check = (ms: number, sliceMs: number, swaps: number, expected: [number, number]) => {
    const plan = planOf(ms, sliceMs, swaps);
    assert.deepEqual([plan.slices, plan.sliceMs], expected);
  };
  check(60_000, 300, 200, [200, 300]);
  check(60_000, 300, 100, [100, 600]);
  check(120_000, 300, 200, [200, 600]);
  check(60_000, 1_000, 200, [60, 1_000]);
  check(6_000, 60_000, 200, [1, 6_000]);
});
