import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BITS,
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  EXCLUSIVE,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { known } from './known.ts';

const rules = (count: number) => Array.from({ length: count }, () => ({}));
const traffic = (rules: number[]) => situation([{}, {}], ['host'], { rules });

checkOffers(known, [
  ['any rules', GROUPS, ['none', 'series']],
  ['as many rules as leave memory', situation(rules(4_000)), ['none', 'series']],
  ['more rules', situation(rules(4_001)), ['none']],
  ['as many rules a series as there is room for', traffic([16, 16]), ['none', 'series']],
  ['more rules a series', traffic([16, 16.5]), ['none']],
  ['no message within one window', situation([{}], ['host'], { singleWindow: 0 }), ['none']],
  ['the fleet', FLEET, ['none']],
]);
const always = { singleWindow: 1, rules: [5, 5] };
checkPriors(known, [
  ['few rules a series', traffic([3, 3]), 'none', 'series'],
  ['messages across windows', traffic([5, 5]), 'none', 'series'],
]);
test('known: prior, many rules a series: as likely as not', () => {
  const [none, series] = known.options(situation([{}, {}], ['host'], always));
  assert.equal(series?.prior, none?.prior);
});
for (const [of, beside] of [
  [GROUPS, {}],
  [GROUPS, BITS],
  [EXCLUSIVE, { dispatch: 'one' }],
  [EXCLUSIVE, { match: 'point', memo: 'twins' }],
] as const) {
  checkRewrite(known, of, beside, {
    series: /if single && self\.known\.run\(front, &strings, out\) \{/,
  });
}
checkMatters(known, GROUPS, 'series', [
  [{}, true],
  [BITS, true],
  [{ match: 'point' }, true],
  [{ match: 'fit64' }, false],
]);
