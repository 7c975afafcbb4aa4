import { BITS, checkMatters, checkOffers, checkRewrite, GROUPS } from '../test/checks.ts';
import { split } from './split.ts';

checkOffers(split, [['any rules', GROUPS, ['branch', 'select']]]);
checkRewrite(split, GROUPS, BITS, { select: /len \+= usize::from/ });
checkMatters(split, GROUPS, 'select', [
  [BITS, true],
  [{ match: 'bits128' }, true],
  [{ match: 'fit128' }, false],
  [{}, false],
]);
