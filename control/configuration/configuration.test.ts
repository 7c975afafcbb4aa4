import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BlobError,
  ConfigurationError,
  compileBody,
  compileConfiguration,
  compileUnknown,
  decodeBlob,
  digestBlob,
  parseConfiguration,
  parseWindow,
  type RuleInput,
} from './index.ts';

const rule: RuleInput = {
  id: 'checkout-cpu',
  metric: 'cpu.usage',
  filter: 'service:checkout AND NOT env:dev',
  group_by: ['host'],
  aggregate: 'sum',
  window: '30s',
};

function checkProblems(run: () => unknown, expected: string[]): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof ConfigurationError, String(error));
    const found = error.problems.map(({ rule: name, field, column, message }) => {
      const place = column === undefined ? field : `${field}@${column}`;
      return `${name}|${place}|${message}`;
    });
    assert.equal(found.length, expected.length, found.join('\n'));
    expected.forEach((text, index) => {
      assert.ok(found[index]?.includes(text), `${found[index]} should include ${text}`);
    });
    return true;
  });
}

test('a configuration compiles to sorted rules, a blob and its digest', () => {
  const compiled = compileConfiguration('acme', [{ ...rule, id: 'z' }, rule]);
  assert.deepEqual(
    compiled.rules.map((each) => each.id),
    ['checkout-cpu', 'z'],
  );
  assert.deepEqual(decodeBlob(compiled.blob), compiled.rules);
  assert.equal(compiled.digest, digestBlob(compiled.blob));
  const reordered = compileConfiguration('acme', [rule, { ...rule, id: 'z' }]);
  assert.equal(reordered.digest, compiled.digest);
});

test('filter and group_by may be left out', () => {
  const { filter, group_by, ...rest } = rule;
  const compiled = compileUnknown('acme', [rest]);
  assert.deepEqual(compiled.rules[0]?.filter, { op: 'all' });
  assert.deepEqual(compiled.rules[0]?.groupBy, []);
});

test('the spread is no part of the digest', () => {
  const check = (spread: unknown, expected: number) => {
    const compiled = compileBody({ org: 'acme', rules: [rule], spread });
    assert.equal(compiled.spread, expected);
    assert.equal(compiled.digest, compileConfiguration('acme', [rule]).digest);
  };
  check(undefined, 1);
  check(4, 4);
  check(64, 64);
  for (const spread of [0, 65, 1.5, '4', null]) {
    const run = () => compileBody({ org: 'acme', rules: [rule], spread });
    checkProblems(run, [`|spread|is ${JSON.stringify(spread)}, not a number of partitions`]);
  }
});

test('every problem is listed, not only the first', () => {
  const first = { ...rule, filter: 'service=checkout', window: '90', aggregate: 'median' };
  const second = { ...rule, metric: '', group_by: ['a', 'a'], extra: 1, priority: 2 };
  checkProblems(
    () => compileUnknown('Acme', [first, second, 7, { ...rule, id: 'UPPER' }]),
    [
      '|org|"Acme" is not an organization name',
      'checkout-cpu|filter@8|unexpected character "="',
      'checkout-cpu|aggregate|must be one of sum, max, min, count, avg',
      'checkout-cpu|window|"90" is not a window',
      'checkout-cpu|metric|must not be empty',
      'checkout-cpu|group_by.1|a is repeated',
      'checkout-cpu|extra|is not a key of a rule',
      'checkout-cpu|priority|is not a key of a rule',
      'checkout-cpu|id|is also the id of rule 1',
      '#3|rule|',
      '#4|id|must match',
    ],
  );
});

test('limits of a configuration', () => {
  checkProblems(() => compileUnknown('acme', []), ['|rules|must hold at least one rule']);
  checkProblems(() => compileUnknown('fleet', [rule]), ['|org|"fleet" is not']);
  checkProblems(() => compileUnknown('acme', 'x'), ['|rules|must be a list']);
  const many = Array.from({ length: 10_001 }, () => rule);
  checkProblems(() => compileUnknown('acme', many), ['|rules|holds 10001 rules, the limit']);
  const keys = Array.from({ length: 9 }, (_, index) => `k${index}`);
  checkProblems(
    () => compileUnknown('acme', [{ ...rule, group_by: keys }]),
    ['checkout-cpu|group_by|at most 8 keys'],
  );
  const values = Array.from({ length: 1_000 }, (_, index) => `value-${index}`);
  const large = Array.from({ length: 400 }, (_, index) => ({
    ...rule,
    id: `r${index}`,
    filter: `k IN (${values.join(',')})`,
  }));
  checkProblems(() => compileUnknown('acme', large), ['|rules|the rules take']);
});

test('windows', () => {
  const cases: [string, number | null][] = [
    ['1s', 1_000],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['3600s', 3_600_000],
    ['3601s', null],
    ['0s', null],
    ['2h', null],
    ['1.5s', null],
    ['500ms', null],
    ['', null],
  ];
  for (const [text, expected] of cases) assert.equal(parseWindow(text), expected, text);
});

test('YAML', () => {
  const yaml = `
org: acme
rules:
  - { id: a, metric: cpu, filter: "*", group_by: [host], aggregate: sum, window: 30s }
  - { id: b, metric: cpu, filter: 'host:"x y"', aggregate: max, window: 1m }
`;
  assert.equal(parseConfiguration(yaml, 'acme').rules.length, 2);
  checkProblems(() => parseConfiguration(yaml, 'globex'), ['|org|is "acme", expected "globex"']);
  checkProblems(() => parseConfiguration('org: acme\nrules: ['), ['|document@9|line 2']);
  checkProblems(() => parseConfiguration('org: a\norg: b\nrules: []'), ['|document@1|line 2']);
  checkProblems(() => parseConfiguration('- 1'), ['|document|must be a mapping']);
  checkProblems(
    () => compileBody({ rules: [{ ...rule, id: '_' }], owner: 'x' }, 'acme'),
    ['|owner|is not a key of a configuration', '#1|id|must match'],
  );
});

test('a blob that is cut, extended or changed is refused or differs', () => {
  const { blob } = compileConfiguration('acme', [rule]);
  for (let length = 0; length < blob.length; length += 1) {
    assert.throws(() => decodeBlob(blob.subarray(0, length)), BlobError);
  }
  assert.throws(() => decodeBlob(Buffer.concat([blob, Buffer.of(0)])), /1 bytes after/);
  for (let at = 0; at < blob.length; at += 1) {
    const changed = Uint8Array.from(blob);
    changed[at] = (changed[at] ?? 0) ^ 0x80;
    try {
      assert.notDeepEqual(decodeBlob(changed), decodeBlob(blob));
    } catch (error) {
      assert.ok(error instanceof BlobError, String(error));
    }
  }
});
