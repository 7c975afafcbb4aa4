import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { decodeMessage } from '../../control/payload/payload.ts';
import { Ledger } from '../oracle/ledger.ts';
import { workloadA } from '../workloads/workloads.ts';
import { Templates } from './templates.ts';

const workload = workloadA(3);
const { rules } = compileConfiguration('acme', workload.rules);
const ledger = () => new Ledger(rules, 0);

test('a message moves to the second before, and is booked as what it is', () => {
  const templates = new Templates(workload, 3, 5);
  const [sent, booked] = [ledger(), ledger()];
  for (const nowMs of [1_700_000_000_999, 1_700_000_000_000, 1_700_000_031_500]) {
    const { payload, settle } = templates.next(nowMs);
    const { sets, points } = decodeMessage(payload);
    const second = Math.floor(nowMs / 1_000) - 1;
    assert.equal(points.length, 200);
    for (const { set, ts } of points) {
      assert.equal(Math.floor(ts / 1_000), second);
      sent.published(sets[set] as (typeof sets)[number], ts);
    }
    settle(true);
  }
  // What is not stored is not booked.
  templates.next(1_700_000_000_000).settle(false);
  templates.book(booked);
  assert.ok(sent.balance().expected > 0);
  assert.deepEqual(booked.balance(), sent.balance());
});

test('bytes are those of another message only once they are settled', () => {
  const templates = new Templates(workload, 1, 5);
  const [first, second] = [templates.next(10_000), templates.next(20_000)];
  assert.notEqual(first.payload.buffer, second.payload.buffer);
  assert.equal(decodeMessage(first.payload).points[0]?.ts, 9_000);
  first.settle(true);
  const third = templates.next(30_000);
  assert.equal(third.payload, first.payload);
  assert.equal(decodeMessage(third.payload).points[0]?.ts, 29_000);
  assert.equal(decodeMessage(second.payload).points[0]?.ts, 19_000);
});
