import {
  BITS,
  checkMatters,
  checkOffers,
  checkRewrite,
  EXCLUSIVE,
  GROUPS,
} from '../test/checks.ts';
import { cells } from './cells.ts';

checkOffers(cells, [['any rules', GROUPS, ['record', 'arrays']]]);
checkRewrite(
  cells,
  EXCLUSIVE,
  { dispatch: 'one' },
  { record: /cells: Vec<Cell>/, arrays: /\bsum: Vec<f64>/ },
);
checkMatters(cells, EXCLUSIVE, 'arrays', [
  [{ dispatch: 'one' }, true],
  [{ dispatch: 'many' }, true],
  [{}, false],
  [BITS, false],
]);
