/** When a tenant's module is overtaken by the fleet's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '../benchmark/report.ts';
import { judge } from './index.ts';

const plain = { messages: 9, points: 9, rounds: 9, modules: [], divergence: null, trap: null };

function timed(ratio: number, low: number, high: number): Report {
  const own = { name: 'own', reference: 'incumbent', ratio, ci95: [low, high] as [number, number] };
  return { ...plain, ratios: [own] };
}
function trapped(module: string): Report {
  return { ...plain, ratios: [], trap: { module, message: 1, reason: 'unreachable' } };
}

const cases: [name: string, report: Report, verdict: string][] = [
  ['surely ahead', timed(1.5, 1.45, 1.55), 'ahead'],
  ['its lower bound is the limit', timed(1.1, 1.05, 1.15), 'ahead'],
  ['not surely ahead', timed(1.1, 1.04, 1.16), 'overtaken'],
  ['behind', timed(0.8, 0.75, 0.85), 'overtaken'],
  ['its own is wrong', trapped('own'), 'overtaken'],
  ['the fleet’s is wrong', trapped('incumbent'), 'wrong'],
  ['not in the report', { ...plain, ratios: [] }, 'insufficient'],
];
for (const [name, report, verdict] of cases) {
  test(`challenge: ${name}`, () => assert.equal(judge(report, 1.05).verdict, verdict));
}
