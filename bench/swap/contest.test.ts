/** An interrupted contest leaves no load behind: a flood that goes on would hold the process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamClient } from '@nats-io/jetstream';
import { workloadA } from '../workloads/workloads.ts';
import { contest } from './contest.ts';
import { Templates } from './templates.ts';

test('an interruption ends the load', async () => {
  const interrupt = new AbortController();
  let published = 0;
  const publish = async () => {
    published += 1;
    if (published === 1) setTimeout(() => interrupt.abort(), 20);
    await sleep(1);
  };
  const bench = {
    jetstream: { publish } as unknown as JetStreamClient,
    org: 'acme',
    aggregator: 'http://127.0.0.1:1',
    templates: new Templates(workloadA(7), 1, 7),
    swapper: { swap: () => Promise.reject(new Error('not yet')) },
    say: () => undefined,
    signal: interrupt.signal,
  };
  const plan = { slices: 1, sliceMs: 1_000, swaps: 1, share: 0.5 };
  await assert.rejects(contest(bench, plan), { name: 'AbortError' });
  const before = published;
  await sleep(50);
  assert.equal(published, before);
});
