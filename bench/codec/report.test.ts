import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsOf, type Report, reportSchema, table } from './report.ts';

const race = (name: string, ratios: Record<string, number>) => ({
  name,
  units: 10,
  figures: [
    { name: 'codec', guest_ns: 100, native_ns: 50, first_is_faster: null },
    ...Object.entries(ratios).map(([other, ratio]) => ({
      name: other,
      guest_ns: 100 * ratio,
      native_ns: 50,
      first_is_faster: { ratio, ci95: [ratio - 0.1, ratio + 0.1] },
    })),
  ],
});

const report: Report = reportSchema.parse({
  messages: 2,
  runs: [
    race('workload A', { fast: 1.25, slow: 7, unverified: 0.5 }),
    race('mixed lengths', { fast: 9, slow: 1.2345, unverified: 0.25 }),
  ],
  columns: [race('All', { unverified: 0.8126 }), race('Values', { unverified: 0.1 })],
});

test('the metrics are the worst against the best crate, and that of all columns', () => {
  assert.deepEqual(metricsOf(report), {
    svb_vs_best_scalar_crate: 1.235,
    columns_vs_unverified_reader: 0.813,
  });
});

test('the table has a line for each decoder, in nanoseconds a unit', () => {
  const lines = table(report).split('\n');
  const codec = lines.filter((line) => line.includes('codec  '));
  assert.equal(codec.length, 4);
  assert.match(codec[0] ?? '', /^workload A {7}codec +10\.00 +5\.00$/);
  const slow = lines.find((line) => line.includes('1.234'));
  assert.match(slow ?? '', /^ +slow +12\.3\d +5\.00 {3}1\.23[45] \(1\.13[45] to 1\.33[45]\)$/);
});

test('a report without a contest is refused', () => {
  assert.throws(() => reportSchema.parse({ ...report, runs: [] }));
});
