import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { encodeMessage, type TagSet } from '../../control/payload/payload.ts';
import { Ledger } from './ledger.ts';

const { rules } = compileConfiguration('acme', [
  rule('all', '*'),
  rule('mixed', 'service:a* AND NOT (env:dev OR host IN (h1, h2))'),
  rule('present', 'env:*'),
]);

function rule(id: string, filter: string) {
  return { id, metric: 'cpu', filter, group_by: [], aggregate: 'sum' as const, window: '30s' };
}

function set(tags: Record<string, string>): TagSet {
  return { metric: 'cpu', tags: Object.entries(tags) };
}

const matched: [tags: Record<string, string>, rules: number][] = [
  [{}, 1],
  [{ env: 'dev' }, 2],
  [{ service: 'api' }, 2],
  [{ service: 'api', env: 'dev' }, 2],
  [{ service: 'api', env: 'prod' }, 3],
  [{ service: 'api', env: 'prod', host: 'h2' }, 2],
];

for (const [tags, expected] of matched) {
  test(`ledger: ${JSON.stringify(tags)} is booked for ${expected} rules`, () => {
    const ledger = new Ledger(rules, 0);
    ledger.published(set(tags), 1000);
    assert.equal(ledger.balance().expected, expected);
  });
}

test('ledger: what is lost and what is too much are told apart', () => {
  const ledger = new Ledger(rules, 30_000);
  for (const ts of [29_999, 30_000, 59_999, 60_000]) ledger.published(set({}), ts);
  const emitted = (ts: number) => {
    ledger.emitted(encodeMessage([{ metric: 'all', tags: [] }], [{ set: 0, ts, value: 1 }]));
  };
  emitted(0);
  emitted(30_000);
  assert.deepEqual(ledger.balance(), { expected: 3, emitted: 1, lost: 2, surplus: 0 });
  emitted(60_000);
  emitted(60_000);
  assert.deepEqual(ledger.balance(), { expected: 3, emitted: 3, lost: 1, surplus: 1 });
  assert.deepEqual(ledger.balance(60_000), { expected: 2, emitted: 1, lost: 1, surplus: 0 });
});
