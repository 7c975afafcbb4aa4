import {
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { pull } from './pull.ts';

const all = ['all', 'rest', 'needed'];
const of = (median: number) => situation([{}], [], { bytes: { median, max: median } });

checkOffers(pull, [
  ['any rules', GROUPS, all],
  ['the fleet', FLEET, all],
]);
checkPriors(pull, [
  ['a small message at once', of(16_384), 'all', 'needed'],
  ['of a large one only what is needed', of(16_385), 'needed', 'all'],
]);
checkRewrite(
  pull,
  GROUPS,
  {},
  {
    all: /m\.pull_all\(\)/,
    rest: /m\.pull\(Column::MetricIds, last\)/,
    needed: /front\.pull\(m, times\)/,
  },
);
checkMatters(pull, GROUPS, 'rest', [
  [{}, true],
  [{ match: 'fit64' }, false],
]);
