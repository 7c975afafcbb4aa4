/** The aggregation outside of its component: the example of `guest/README.md`, and edges. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileConfiguration, type RuleInput } from '../../../control/configuration/index.ts';
import { encodeMessage, type Point, type TagSet } from '../../../control/payload/payload.ts';
import { aggregate, planOf } from './aggregate.ts';
import { readMessage } from './message.ts';
import { parseRules } from './rules.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The bytes of a fenced block: hexadecimal pairs at the head of its lines. */
function example(kind: 'hex' | 'records'): Uint8Array {
  const block = README.split(`\`\`\`${kind}\n`)[1]?.split('```')[0] ?? '';
  const pairs = block.split('\n').flatMap((line) => {
    const bytes = kind === 'hex' ? line.slice(6) : line;
    return /^([0-9a-f]{2}( +|$))+/.exec(bytes)?.[0].trim().split(/ +/) ?? [];
  });
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

function run(rules: readonly RuleInput[], message: Uint8Array): Uint8Array {
  const plan = planOf(parseRules(compileConfiguration('test', rules).blob));
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const [len, strings, keys, sets, points] = [4, 12, 16, 20, 24].map((at) =>
    view.getUint32(at, true),
  ) as [number, number, number, number, number];
  const minTs = Number(view.getBigInt64(32, true));
  const header = { len, strings, keys, sets, points, minTs };
  return aggregate(plan, readMessage(message, header, plan.keys), minTs);
}

const rule = (given: Partial<RuleInput>): RuleInput => ({
  ...{ id: 'r', metric: 'm', filter: '*', group_by: [], aggregate: 'sum', window: '1s' },
  ...given,
});

test('the example of the documented format', () => {
  const rules = [rule({ metric: 'cpu', group_by: ['host'] })];
  // Their order is free.
  const sorted = (records: Uint8Array) => {
    const hex = Buffer.from(records).toString('hex');
    return (hex.match(/.{48}/g) ?? []).sort();
  };
  assert.deepEqual(sorted(run(rules, example('hex'))), sorted(example('records')));
});

const START = 1_700_000_000_000;

/** One rule on points of `m`, each with its tags: values by group, in the order of groups. */
function check(
  name: string,
  given: Partial<RuleInput>,
  points: [tags: Record<string, string>, value: number][],
  expected: [count: number, value: number][],
) {
  test(name, () => {
    const sets: TagSet[] = points.map(([tags]) => ({ metric: 'm', tags: Object.entries(tags) }));
    const at: Point[] = points.map(([, value], set) => ({ set, ts: START + set, value }));
    const records = run([rule(given)], encodeMessage(sets, at));
    const view = new DataView(records.buffer);
    const found = Array.from({ length: records.length / 24 }, (_, record) => {
      return [view.getUint32(24 * record + 12, true), view.getFloat64(24 * record + 16, true)];
    });
    assert.deepEqual(found, expected);
  });
}

const [a, b, none] = [{ env: 'prod', host: 'a' }, { env: 'dev', host: 'ab' }, {}];
const all: [Record<string, string>, number][] = [
  [a, 1],
  [b, 2],
  [none, 4],
];

check('all', {}, all, [[3, 7]]);
check('an absent tag is a group', { group_by: ['host'] }, all, [
  [1, 1],
  [1, 2],
  [1, 4],
]);
check('equal', { filter: 'env:prod' }, all, [[1, 1]]);
check('prefix', { filter: 'host:a*' }, all, [[2, 3]]);
check('present', { filter: 'host:*' }, all, [[2, 3]]);
check('in', { filter: 'env IN (dev, test)' }, all, [[1, 2]]);
check('not takes what lacks the key', { filter: 'NOT env:prod' }, all, [[2, 6]]);
check('and, or', { filter: 'host:* AND (env:dev OR env:prod)' }, all, [[2, 3]]);
check('count', { aggregate: 'count' }, all, [[3, 3]]);
check('avg carries the sum', { aggregate: 'avg' }, all, [[3, 7]]);
const edges = (...values: number[]): [Record<string, string>, number][] =>
  values.map((value) => [none, value]);
check('max: -0 is below +0', { aggregate: 'max' }, edges(-0, 0, -0), [[3, 0]]);
check('min: -0 is below +0', { aggregate: 'min' }, edges(0, -0, 0), [[3, -0]]);
check('max: NaN only if all are', { aggregate: 'max' }, edges(Number.NaN, -1), [[2, -1]]);
check('min: NaN only if all are', { aggregate: 'min' }, edges(Number.NaN, Number.NaN), [
  [2, Number.NaN],
]);
check('a sum starts from its first value', {}, edges(-0), [[1, -0]]);

test('what is no rules blob is refused', () => {
  const { blob } = compileConfiguration('test', [rule({})]);
  for (const bad of [blob.slice(1), blob.slice(0, -1), Uint8Array.of(...blob, 0)]) {
    assert.throws(() => parseRules(bad));
  }
});
