import {
  BITS,
  checkMatters,
  checkOffers,
  checkRewrite,
  EXCLUSIVE,
  GROUPS,
} from '../test/checks.ts';
import { emit } from './emit.ts';

checkOffers(emit, [['any rules', GROUPS, ['push', 'reserve']]]);
// To reserve is one call more.
for (const [of, beside] of [
  [EXCLUSIVE, { dispatch: 'one' }],
  [GROUPS, BITS],
] as const) {
  checkRewrite(emit, of, beside, { reserve: /out\.reserve\(/ });
}
checkMatters(emit, EXCLUSIVE, 'reserve', [
  [{ dispatch: 'one' }, true],
  [BITS, true],
  [{}, false],
]);
