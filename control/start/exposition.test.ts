import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExposition, type Sample } from './exposition.ts';

const cases: [name: string, text: string, expected: Sample[]][] = [
  ['a bare sample', 'up 1\n', [{ metric: 'up', labels: [], value: 1 }]],
  ['a timestamp is passed over', 'up 1 1700000000000', [{ metric: 'up', labels: [], value: 1 }]],
  [
    'labels with escapes',
    'a_total{x="1",y="q\\"\\\\\\n"} 2.5e3',
    [
      {
        metric: 'a_total',
        labels: [
          ['x', '1'],
          ['y', 'q"\\\n'],
        ],
        value: 2500,
      },
    ],
  ],
  ['comments, buckets and what is not finite', '# HELP a\na_bucket{le="1"} 1\nb NaN\nc +Inf\n', []],
  ['what is no sample', '{} 1\n=\n\nname\n', []],
];

for (const [name, text, expected] of cases) {
  test(`exposition: ${name}`, () => assert.deepEqual(parseExposition(text, 10), expected));
}

test('exposition: the limit holds', () => {
  assert.equal(parseExposition('a 1\nb 2\nc 3', 2).length, 2);
});
