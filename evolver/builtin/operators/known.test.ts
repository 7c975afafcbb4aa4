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

const all = ['none', 'series', 'grid'];
checkOffers(known, [
  ['any rules', GROUPS, all],
  ['as many rules as there is room for columns', situation(rules(400)), all],
  ['more rules', situation(rules(401)), ['none', 'series']],
  ['as many rules as leave memory', situation(rules(4_000)), ['none', 'series']],
  ['still more', situation(rules(4_001)), ['none']],
  ['as many rules a series as there is room for', traffic([16, 16]), all],
  ['more rules a series', traffic([16, 16.5]), ['none', 'grid']],
  ['no message within one window', situation([{}], [], { singleWindow: 0 }), ['none', 'grid']],
  ['the fleet', FLEET, ['none']],
]);
const always = { singleWindow: 1, rules: [5, 5] };
checkPriors(known, [
  ['few rules a series', traffic([3, 3]), 'none', 'series'],
  ['messages across windows', traffic([5, 5]), 'none', 'series'],
  ['few rules take a series', situation(rules(100), ['host'], always), 'none', 'grid'],
]);
test('known: prior, many rules a series: as likely as not', () => {
  const [none, series] = known.options(situation([{}, {}], ['host'], always));
  assert.equal(series?.prior, none?.prior);
});
test('known: prior, most rules take all of many series: columns', () => {
  const sets = { median: 1_000, max: 1_000 };
  const of = situation(rules(10), ['host'], { ...always, sets });
  const [none, , grid] = known.options(of);
  assert.ok((grid?.prior ?? 0) > 2 * (none?.prior ?? 0));
});
for (const [of, beside] of [
  [GROUPS, {}],
  [GROUPS, BITS],
  [EXCLUSIVE, { dispatch: 'one' }],
  [EXCLUSIVE, { match: 'point', memo: 'twins' }],
] as const) {
  checkRewrite(known, of, beside, {
    series: /Known::new\(spec\).*if single && self\.known\.run\(front, &strings, out\)/s,
    grid: /Grid::new\(spec\).*if self\.known\.run\(front, &strings, \(min, single\), out\)/s,
  });
}
checkMatters(known, GROUPS, 'series', [
  [{}, true],
  [BITS, true],
  [{ match: 'point' }, true],
  [{ match: 'fit64' }, false],
]);
