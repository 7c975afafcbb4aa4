import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectiveFromMs, ruleChanges } from './changes.ts';
import { compileConfiguration } from './configuration.ts';
import type { RuleInput } from './rules.ts';

function rules(...inputs: [id: string, window: string, changed?: Partial<RuleInput>][]) {
  const rule = { metric: 'cpu', filter: '*', group_by: ['host'], aggregate: 'sum' as const };
  const made = inputs.map(([id, window, changed]) => ({ id, window, ...rule, ...changed }));
  return compileConfiguration('acme', made).rules;
}

test('a configuration takes effect at a whole second, three seconds ahead at least', () => {
  assert.equal(effectiveFromMs(0), 3_000);
  assert.equal(effectiveFromMs(1), 4_000);
  assert.equal(effectiveFromMs(1_000), 4_000);
});

test('each rule says from which window on it holds', () => {
  const before = rules(['gone', '60s'], ['kept', '30s'], ['longer', '10s'], ['other', '30s']);
  const after = rules(
    ['kept', '30s'],
    ['longer', '60s'],
    ['new', '7s'],
    ['other', '30s', { aggregate: 'max' }],
  );
  assert.deepEqual(ruleChanges(before, after, 65_000), [
    { rule: 'gone', change: 'removed', fromMs: null, untilMs: 120_000 },
    { rule: 'longer', change: 'changed', fromMs: 120_000, untilMs: 70_000 },
    { rule: 'new', change: 'added', fromMs: 70_000, untilMs: null },
    { rule: 'other', change: 'changed', fromMs: 90_000, untilMs: 90_000 },
  ]);
});

test('the same rules, in any order, change nothing', () => {
  const a = rules(['a', '10s'], ['b', '30s', { group_by: ['x', 'y'] }]);
  const b = rules(['b', '30s', { group_by: ['x', 'y'] }], ['a', '10s']);
  assert.deepEqual(ruleChanges(a, b, 65_000), []);
  assert.equal(ruleChanges([], a, 60_000)[0]?.fromMs, 60_000);
});
