import {
  checkOffers,
  checkPriors,
  checkRewrite,
  EXCLUSIVE,
  FLEET,
  situation,
} from '../test/checks.ts';
import { dispatch } from './dispatch.ts';

const A = { filter: 'service:a' };
const B = { filter: 'service:b' };
const all = ['scan', 'many', 'one'];

checkOffers(dispatch, [
  ['each literal has one rule', situation([A, B]), all],
  ['a literal has two rules', situation([A, A]), ['scan', 'many']],
  ['a literal has a rule a metric', situation([A, { ...A, metric: 'n' }]), all],
  ['grouped by the key itself', situation([{ ...A, group_by: ['service'] }]), all],
  ['grouped by another key', situation([{ ...A, group_by: ['host'] }]), ['scan']],
  ['two keys', situation([A, { filter: 'host:a' }]), ['scan']],
  ['one takes everything', situation([A, {}]), ['scan']],
  ['a list', situation([{ filter: 'service IN (a, b)' }]), ['scan']],
  ['a prefix', situation([{ filter: 'service:a*' }]), ['scan']],
  ['a negation', situation([{ filter: 'NOT service:a' }]), ['scan']],
  ['a conjunction', situation([{ filter: 'service:a AND service:b' }]), ['scan']],
  ['no filters', situation([{}]), ['scan']],
  ['the fleet', FLEET, ['scan']],
]);
checkPriors(dispatch, [['the narrowest way that holds', EXCLUSIVE, 'one', 'scan']]);
checkRewrite(
  dispatch,
  EXCLUSIVE,
  {},
  {
    scan: /\bfn accepts\(/,
    many: /rules_at: Vec<u32>/,
    one: /rule_of: Vec<u32>/,
  },
);
