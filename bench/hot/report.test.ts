import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsOf, reportSchema, table } from './report.ts';

const guest = (name: string, us: number, ratio: number) => ({
  ...{ name, us_per_message: us, us_min: us - 0.5, points_per_s: 200e6 / us },
  promoted_vs: { name: 'promoted', reference: name, ratio, ci95: [ratio - 0.1, ratio + 0.1] },
});

const guests = [
  guest('baseline', 16, 4),
  guest('per-point', 800, 200),
  guest('promoted', 4, 1),
  guest('native', 2, 0.50049),
];
const merge = {
  ...{ records_per_message: 39.43, ns_per_record: 5.4321, us_per_message: 0.2142 },
  ci95: [5, 6],
};
const mergeNew = { ...merge, ns_per_record: 7.25 };
const report = reportSchema.parse({ guests, merge, merge_new: mergeNew });

test('metrics carry the name of their workload', () => {
  assert.deepEqual(metricsOf('a', report), {
    a_promoted_vs_baseline: 4,
    a_promoted_vs_per_point: 200,
    a_promoted_vs_native: 0.5,
    a_merge_ns_per_record: 5.432,
    a_merge_new_ns_per_record: 7.25,
    a_promoted_points_per_s: 50_000_000,
  });
});

test('a contest without one of the references is none', () => {
  const doubled = [...guests.slice(0, 3), guests[2]];
  const twice = reportSchema.parse({ ...report, guests: doubled });
  assert.throws(() => metricsOf('b', twice), /the contest of b had no native/);
  assert.equal(reportSchema.safeParse({ ...report, guests: guests.slice(1) }).success, false);
});

test('the table has a line for each contestant, and two for the merge', () => {
  const lines = table('c', report).trimEnd().split('\n');
  assert.equal(lines.length, 7);
  assert.match(lines[1] ?? '', /^ {2}baseline +16\.00 \(15\.50\) +4\.000 \(3\.900 to 4\.100\)$/);
  assert.match(lines[3] ?? '', /^ {2}promoted +4\.00 \(3\.50\) *$/);
  assert.match(lines[5] ?? '', /0\.21; 5\.43 ns a record \(5\.00 to 6\.00\), 39\.4 records/);
  assert.match(lines[6] ?? '', /^ {2}merge new +0\.21; 7\.25 ns a record/);
});
