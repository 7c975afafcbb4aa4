import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Report, reportSchema, timedVerdict, wrongModule } from './report.ts';

function report(changes: Partial<Report> = {}): Report {
  const module = (name: string, us: number) => ({
    ...{ name, us_per_message: us, us_min: us, fuel_per_point: 5, records: 1 },
  });
  const ratio = (name: string, value: number) => ({
    ...{ name, reference: 'incumbent', ratio: value },
    ci95: [value - 0.05, value + 0.05] as [number, number],
  });
  return reportSchema.parse({
    ...{ messages: 48, points: 9_600, rounds: 30, divergence: null, trap: null },
    modules: [module('incumbent', 10), module('baseline', 20), module('c0', 8)],
    ratios: [ratio('baseline', 0.5), ratio('c0', 1.25)],
    ...changes,
  });
}

test('a timed candidate is told against incumbent and baseline', () => {
  const verdict = timedVerdict(report(), 'c0', 1.1, null);
  assert.ok(verdict.verdict === 'faster');
  assert.deepEqual([verdict.ratio, verdict.ratio_to_baseline], [1.25, 2.5]);
  assert.equal(timedVerdict(report(), 'c0', 1.2, null).verdict, 'slow', 'the lower bound decides');
  assert.equal(timedVerdict(report(), 'c7', 1.1, null).verdict, 'unmeasured');
});

test('a wrong module is named with what it did', () => {
  assert.equal(wrongModule(report()), null);
  const trap = { module: 'c0', message: 3, reason: 'unreachable' };
  assert.deepEqual(wrongModule(report({ trap }))?.verdict, {
    ...{ id: 'c0', verdict: 'trapped', reason: 'message 3: unreachable' },
  });
  const divergence = {
    ...{ module: 'c0', message: 3, rule: 'cpu', group: ['a'], window_start_ms: 0 },
    ...{ expected: '1', actual: null },
  };
  assert.deepEqual(wrongModule(report({ divergence }))?.verdict, {
    ...{ id: 'c0', verdict: 'diverged' },
    reason: 'message 3, rule cpu: expected 1, got null',
  });
});
