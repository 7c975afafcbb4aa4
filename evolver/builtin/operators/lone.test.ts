import { BITS, checkMatters, checkOffers, checkRewrite, GROUPS } from '../test/checks.ts';
import { lone } from './lone.ts';

checkOffers(lone, [['any rules', GROUPS, ['each', 'run']]]);
checkRewrite(lone, GROUPS, BITS, { each: /struct Cell \{/, run: /out\.extend\(/ });
checkMatters(lone, GROUPS, 'run', [
  [BITS, true],
  [{ match: 'bits128' }, true],
  [{ match: 'fit128' }, false],
  [{}, false],
]);
