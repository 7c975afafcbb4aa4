import {
  BITS,
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { order } from './order.ts';

const all = ['written', 'rare', 'common'];
const many = Array.from({ length: 65 }, (_, index) => ({ group_by: [`k${index}`] }));
const PAIRS = situation([{ group_by: ['host', 'service'] }]);

checkOffers(order, [
  ['cardinalities are known', GROUPS, all],
  ['no traffic was seen', situation([{ group_by: ['host'] }], []), ['written']],
  ['too many keys to write down', situation(many), ['written']],
  ['the fleet', FLEET, ['written']],
]);
checkPriors(order, [
  ['keys of many values first', PAIRS, 'rare', 'written'],
  ['and not last', PAIRS, 'written', 'common'],
]);
// In this profile, the second of two keys has more values.
checkRewrite(order, PAIRS, BITS, {
  written: /let ranks = &\[\]/,
  rare: /ORDER: &\[u16\] = &\[1, 0\]/,
  common: /ORDER: &\[u16\] = &\[0, 1\]/,
});
checkMatters(order, PAIRS, 'rare', [
  [{ match: 'fit128' }, true],
  [BITS, true],
  [{}, false],
]);
