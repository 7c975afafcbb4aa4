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
import { memo } from './memo.ts';

const SEEN = ['host', 'service'];
const BLIND = situation([{ filter: 'service:a' }], [...SEEN, 'pod', 'zone']);

checkOffers(memo, [
  ['any rules', GROUPS, ['none', 'twins']],
  ['the fleet', FLEET, ['none', 'twins']],
]);
checkPriors(memo, [['tag-sets that differ in what is seen', GROUPS, 'none', 'twins']]);
for (const [of, beside] of [
  [BLIND, {}],
  [BLIND, BITS],
  [EXCLUSIVE, { dispatch: 'one' }],
] as const) {
  checkRewrite(memo, of, beside, { twins: /if single \{\s+self\.twins\.join\(/ });
}
checkMatters(memo, BLIND, 'twins', [
  [{ match: 'fit128' }, false],
  [{}, true],
  [{ match: 'point' }, false],
  [{ match: 'point', dispatch: 'one' }, true],
]);
