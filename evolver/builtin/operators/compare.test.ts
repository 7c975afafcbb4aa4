import { checkMatters, checkOffers, checkRewrite, EXCLUSIVE, GROUPS } from '../test/checks.ts';
import { compare } from './compare.ts';

checkOffers(compare, [['any rules', GROUPS, ['slice', 'words']]]);
checkRewrite(
  compare,
  EXCLUSIVE,
  { literals: 'table' },
  {
    slice: /spec::Table<false>/,
    words: /spec::Table<true>/,
  },
);
checkMatters(compare, EXCLUSIVE, 'words', [
  [{ literals: 'table' }, true],
  [{ literals: 'map' }, false],
  [{}, false],
]);
