import { BITS, checkMatters, checkOffers, checkRewrite, GROUPS } from '../test/checks.ts';
import { subsets } from './subsets.ts';

checkOffers(subsets, [['any rules', GROUPS, ['added', 'once']]]);
checkRewrite(subsets, GROUPS, BITS, { once: /fn take_in/ });
checkMatters(subsets, GROUPS, 'once', [
  [BITS, true],
  [{ match: 'bits128' }, true],
  [{ match: 'fit128' }, false],
  [{}, false],
]);
