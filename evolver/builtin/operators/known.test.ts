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
checkPriors(known, [['nobody knows the windows', GROUPS, 'none', 'series']]);
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
