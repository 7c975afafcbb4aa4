import {
  BITS,
  checkMatters,
  checkOffers,
  checkRewrite,
  EXCLUSIVE,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { extremes } from './extremes.ts';

checkOffers(extremes, [
  ['a greatest value', GROUPS, ['compare', 'keys']],
  ['a least value', situation([{ aggregate: 'min' }]), ['compare', 'keys']],
  ['sums alone', EXCLUSIVE, ['compare']],
  ['means and counts', situation([{ aggregate: 'avg' }, { aggregate: 'count' }]), ['compare']],
  ['the fleet', FLEET, ['compare', 'keys']],
]);
checkRewrite(extremes, GROUPS, BITS, { compare: /type Bound = f64/, keys: /type Bound = i64/ });
checkMatters(extremes, GROUPS, 'keys', [
  [{ match: 'fit128' }, true],
  [BITS, true],
  [{}, false],
]);
