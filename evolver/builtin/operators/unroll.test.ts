import {
  BITS,
  checkMatters,
  checkOffers,
  checkRewrite,
  EXCLUSIVE,
  GROUPS,
} from '../test/checks.ts';
import { unroll } from './unroll.ts';

checkOffers(unroll, [['any rules', GROUPS, ['1', '4', '8']]]);
for (const [of, beside] of [
  [EXCLUSIVE, { dispatch: 'one' }],
  [GROUPS, BITS],
] as const) {
  checkRewrite(unroll, of, beside, { 4: /as_chunks::<4>/, 8: /as_chunks::<8>/ });
}
checkMatters(unroll, EXCLUSIVE, '4', [
  [{ match: 'fit128' }, true],
  [BITS, true],
  [{ dispatch: 'one' }, true],
  [{}, false],
]);
