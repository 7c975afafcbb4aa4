import { BITS, checkMatters, checkOffers, checkRewrite, GROUPS } from '../test/checks.ts';
import { calls } from './calls.ts';

checkOffers(calls, [['any rules', GROUPS, ['inline', 'apart']]]);
checkRewrite(calls, GROUPS, BITS, {
  inline: /#\[inline\(always\)\]\nfn refine/,
  apart: /#\[inline\(never\)\]\nfn refine/,
});
checkMatters(calls, GROUPS, 'apart', [
  [BITS, true],
  [{ match: 'bits128' }, true],
  [{ match: 'fit128' }, false],
  [{}, false],
]);
