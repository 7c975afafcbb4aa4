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
import { group } from './group.ts';

const MANY = situation(['a', 'b', 'c', 'd', 'e'].map((key) => ({ group_by: [key] })));

checkOffers(group, [['any rules', GROUPS, ['flat', 'shared']]]);
checkPriors(group, [['few group-bys have little to share', GROUPS, 'flat', 'shared']]);
checkRewrite(group, MANY, BITS, { flat: /if node\.sums/, shared: /self\.epoch \+= 1/ });
checkRewrite(group, FLEET, BITS, { shared: /self\.epoch \+= 1/ });
checkMatters(group, GROUPS, 'shared', [
  [{ match: 'fit128' }, true],
  [BITS, true],
  [{ match: 'bits128' }, true],
  [{ match: 'point' }, false],
  [{}, false],
]);
