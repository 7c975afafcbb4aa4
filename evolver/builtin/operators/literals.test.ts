import {
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  EXCLUSIVE,
  FLEET,
  GROUPS,
} from '../test/checks.ts';
import { literals } from './literals.ts';

const all = ['search', 'map', 'table'];

checkOffers(literals, [
  ['literals', EXCLUSIVE, all],
  ['none', GROUPS, all],
  ['the fleet', FLEET, all],
]);
checkPriors(literals, [
  ['literals are worth a table', EXCLUSIVE, 'table', 'search'],
  ['none are not', GROUPS, 'search', 'table'],
]);
checkRewrite(
  literals,
  EXCLUSIVE,
  {},
  {
    search: /type Literals = spec::Search/,
    map: /type Literals = spec::Map/,
    table: /type Literals = spec::Table/,
  },
);
checkMatters(literals, EXCLUSIVE, 'map', [
  [{}, true],
  [{ match: 'fit64' }, false],
]);
