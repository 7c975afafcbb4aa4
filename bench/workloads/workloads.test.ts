import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { matches } from '../../control/configuration/match.ts';
import { decodeMessage } from '../../control/payload/payload.ts';
import { mixedWorkloads, workloadC } from './mixed.ts';
import { popular, seededRandom } from './random.ts';
import { generateMessage, type Workload, workloadA, workloadB } from './workloads.ts';

const NOW = 1_700_000_010_000;

/** A few messages, decoded. */
function messagesOf(workload: Workload, count = 4) {
  const random = seededRandom(3);
  return Array.from({ length: count }, () =>
    decodeMessage(generateMessage(workload, NOW, random).payload),
  );
}

test('messages have the points, series and metrics that a workload says', () => {
  const mixed = mixedWorkloads(5, 6);
  for (const workload of [workloadA(1), workloadB(1), workloadC(1), ...mixed]) {
    const shape = workload.messages ?? { points: 200, sets: 50, metrics: 1, span: 1_000 };
    for (const { sets, points } of messagesOf(workload)) {
      assert.equal(points.length, shape.points);
      assert.equal(sets.length, shape.sets);
      assert.equal(new Set(sets.map(({ metric }) => metric)).size, shape.metrics);
      assert.ok(points.every(({ ts }) => ts >= NOW - shape.span && ts < NOW));
    }
  }
});

test('a seed gives the same workload, another seed other traffic or other organizations', () => {
  assert.deepEqual(workloadC(1), workloadC(1));
  assert.deepEqual(workloadC(1).rules, workloadC(2).rules);
  assert.notDeepEqual(workloadC(1).series, workloadC(2).series);
  assert.notDeepEqual(workloadC(1, 8).rules, workloadC(1).rules);
  assert.deepEqual(mixedWorkloads(5, 3), mixedWorkloads(5, 4).slice(0, 3));
  assert.notDeepEqual(mixedWorkloads(5, 3), mixedWorkloads(6, 3));
});

test('the rules of every workload are valid, and some of them take points', () => {
  assert.equal(workloadC(1).rules.length, 2_000);
  for (const workload of [workloadC(1), ...mixedWorkloads(1)]) {
    const { rules } = compileConfiguration('acme', workload.rules);
    const taken = messagesOf(workload).flatMap(({ sets }) =>
      sets.filter(({ metric, tags }) =>
        rules.some((rule) => rule.metric === metric && matches(rule.filter, new Map(tags))),
      ),
    );
    assert.ok(taken.length > 0, workload.name);
  }
});

test('low ranks are the popular ones, and all are within bounds', () => {
  const random = seededRandom(1);
  const counts = new Array<number>(20).fill(0);
  for (let draw = 0; draw < 10_000; draw++) {
    const rank = popular(20, random);
    assert.ok(rank >= 0 && rank < 20);
    counts[rank] = (counts[rank] ?? 0) + 1;
  }
  assert.ok(counts.every((count) => count > 0));
  assert.ok((counts[0] ?? 0) > 10 * (counts[19] ?? 0));
  assert.equal(popular(1, random), 0);
});
