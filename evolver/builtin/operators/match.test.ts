import { UNKNOWN_TRAFFIC } from '../../profile.ts';
import {
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  EXCLUSIVE,
  FLEET,
  GROUPS,
} from '../test/checks.ts';
import { match } from './match.ts';

const all = ['point', 'set', 'bits64', 'bits128', 'fit64', 'fit128'];
const of = (median: number, max: number) => ({
  ...GROUPS,
  profile: { ...UNKNOWN_TRAFFIC, sets: { median, max } },
});

checkOffers(match, [
  ['any rules', GROUPS, all],
  ['the fleet', FLEET, all],
]);
checkPriors(match, [
  ['few tag-sets', of(50, 64), 'bits64', 'bits128'],
  ['more than 64 in some messages', of(50, 65), 'bits128', 'bits64'],
  ['more than 64 in most', of(65, 70), 'bits128', 'bits64'],
  ['more tag-sets than any mask holds', of(50, 129), 'fit128', 'bits128'],
  ['the fleet meets every width', FLEET, 'fit128', 'bits128'],
  ['a tag-set is matched once', GROUPS, 'set', 'point'],
]);
checkRewrite(
  match,
  GROUPS,
  {},
  {
    set: /self\.starts\.push/,
    bits64: /type Mask = u64/,
    bits128: /type Mask = u128/,
    fit64: /use crate::spec::\{self, Choice[\s\S]*sets > 64 \|\| !few/,
    fit128: /broad: Masks<Design, u128/,
  },
);
checkRewrite(
  match,
  GROUPS,
  {},
  { point: /for point in [^{]+\{\s+let set = [^;]+;\s+self\.list\.clear/ },
);
checkMatters(match, EXCLUSIVE, 'bits64', [
  [{}, true],
  [{ dispatch: 'one' }, false],
]);
