import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileConfiguration, type RuleInput } from '../control/configuration/index.ts';
import { FIRST_GENOME, parseGenome } from './builtin/genome.ts';
import { SOURCE_LIMIT } from './mutator.ts';
import { OPERATION, tabulate } from './spec/tables.ts';
import { specialise, specialiseFleet } from './specialise.ts';

const GOLDEN = new URL('./spec/golden.rs.txt', import.meta.url);

const RULES: RuleInput[] = [
  rule('checkout', 'service:checkout AND NOT env:dev', ['host'], 'sum'),
  rule('by-zone', '*', ['zone', 'az'], 'max'),
  rule('prefixes', 'host:web-* OR host:long-prefix-* OR az:*', [], 'avg'),
  rule('some', 'env IN (prod, dev)', ['az', 'zone'], 'count', '10s'),
];

function rule(
  id: string,
  filter: string,
  group_by: string[],
  aggregate: RuleInput['aggregate'],
  window = '30s',
): RuleInput {
  return { id, metric: 'cpu', filter, group_by, aggregate, window };
}

test('spec.rs is the golden one; GOLDEN=write makes it anew', () => {
  const { specRs } = specialise(compileConfiguration('acme', RULES));
  if (process.env.GOLDEN === 'write') writeFileSync(GOLDEN, specRs);
  assert.equal(specRs, readFileSync(GOLDEN, 'utf8'));
});

test('the same rules give the same bytes, whatever their order and organization', () => {
  const one = specialise(compileConfiguration('acme', RULES));
  const two = specialise(compileConfiguration('globex', [...RULES].reverse()));
  assert.deepEqual(one, two);
});

test('the first form is plain, and small enough', () => {
  const { aggregateRs } = specialise(compileConfiguration('acme', RULES));
  assert.deepEqual(parseGenome(aggregateRs), FIRST_GENOME);
  assert.ok(aggregateRs.startsWith('#![forbid(unsafe_code)]\n'));
  assert.ok(Buffer.byteLength(aggregateRs) < SOURCE_LIMIT);
});

test('the crate of the fleet module is its first form; FLEET=write makes it anew', () => {
  const file = new URL('../guest/fleet/src/aggregate.rs', import.meta.url);
  const { aggregateRs } = specialiseFleet();
  if (process.env.FLEET === 'write') writeFileSync(file, aggregateRs);
  // Formatted there, for people.
  const bare = (text: string) => text.replace(/\s/g, '').replace(/,(?=[)}\]])/g, '');
  assert.equal(bare(readFileSync(file, 'utf8')), bare(aggregateRs));
});

test('no text of a tenant reaches a source', () => {
  const text = 'zz"]; pub fn evil() {} //';
  const hostile: RuleInput = {
    ...rule('evil', `"k${'\\"'}x":"v${'\\"'}y" AND zqkey:zqprefix*`, ['zqgroup'], 'sum'),
    metric: text,
  };
  const { specRs, aggregateRs } = specialise(compileConfiguration('acme', [hostile]));
  for (const source of [specRs, aggregateRs]) {
    for (const part of ['evil', 'zq', 'v"y', 'k"x']) assert.ok(!source.includes(part), part);
    // Nothing but plain ASCII, whatever a tenant writes.
    assert.match(source, /^[\t\n -~]*$/);
  }
});

test('tables say what the rules say, each thing once', () => {
  const tables = tabulate(compileConfiguration('acme', RULES).rules);
  assert.deepEqual(tables.keys, ['az', 'env', 'host', 'service', 'zone']);
  assert.deepEqual(tables.values, ['checkout', 'dev', 'prod']);
  assert.deepEqual(tables.windows, [10_000, 30_000]);
  // "zone, az" and "az, zone" are one group-by.
  assert.deepEqual(tables.groups, [[0, 4], [2], []]);
  const { and, not, or } = OPERATION;
  assert.deepEqual(tables.filters, [
    [OPERATION.true],
    [0, 1, not, and | 2],
    [2, 3, 4, or | 3],
    [5],
  ]);
  assert.equal(tables.stack, 3);
  assert.deepEqual(tables.metricRules, [[0, 1, 2, 3]]);
  assert.deepEqual(
    tables.metricKeys[0]?.map(({ key, tests, loose }) => [key, tests, loose]),
    [
      [0, [4], []],
      [1, [1, 5], []],
      [2, [2, 3], [2, 3]],
      [3, [0], []],
      [4, [], []],
    ],
  );
});
