import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ancestor, splitGain } from './gain.ts';

const step = (mutator: string, ratio: number | null): Ancestor => ({ mutator, ratio });

const cases: [name: string, line: Ancestor[], specialised: number | null, expected: string][] = [
  ['the first form itself', [step('specialise', 1.5)], 1.5, '1.50 = 1.50 x 1.00 x 1.00'],
  [
    'a line of both mutators',
    [step('llm', 6), step('builtin', 3), step('specialise', 1.5)],
    1.5,
    '6.00 = 1.50 x 2.00 x 2.00',
  ],
  ['a draw without a parent', [step('builtin', 3)], 1.5, '3.00 = 1.50 x 2.00 x 1.00'],
  [
    'an ancestor that was never timed',
    [step('llm', 4), step('builtin', null), step('specialise', 2)],
    2,
    '4.00 = 2.00 x 1.00 x 2.00',
  ],
  [
    'figures of different times still multiply to the total',
    [step('builtin', 4), step('llm', 2), step('specialise', 1)],
    1.25,
    '4.00 = 1.25 x 1.60 x 2.00',
  ],
  ['slower than its first form', [step('builtin', 1)], 2, '1.00 = 2.00 x 0.50 x 1.00'],
  ['not measured', [step('builtin', null)], 1.5, 'null'],
  ['no first form', [step('builtin', 3)], null, 'null'],
  ['nobody', [], 1.5, 'null'],
];
for (const [name, line, specialised, expected] of cases) {
  test(`gain: ${name}`, () => {
    const split = splitGain(line, specialised);
    const { total, specialisation, builtin, llm } = split ?? {};
    const shown = [specialisation, builtin, llm].map((each) => each?.toFixed(2)).join(' x ');
    assert.equal(split === null ? 'null' : `${total?.toFixed(2)} = ${shown}`, expected);
    if (split === null) return;
    const product = split.specialisation * split.builtin * split.llm;
    assert.ok(Math.abs(product - split.total) < 1e-9, `${product}`);
  });
}
