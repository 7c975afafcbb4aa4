import {
  BITS,
  checkMatters,
  checkOffers,
  checkRewrite,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { columns } from './columns.ts';

const APART = situation([{ group_by: ['host'] }, { metric: 'n', filter: 'service:a' }]);

checkOffers(columns, [
  ['one metric', GROUPS, ['all']],
  ['no keys', situation([{}, { metric: 'n' }]), ['all']],
  [
    'metrics of the same keys',
    situation([{ group_by: ['a'] }, { metric: 'n', filter: 'a:*' }]),
    ['all'],
  ],
  ['metrics of different keys', APART, ['all', 'met']],
  ['the fleet', FLEET, ['all', 'met']],
]);
for (const beside of [{}, BITS]) {
  checkRewrite(columns, APART, beside, {
    all: /front\.decode\(m, times\)/,
    met: /front\.decode_met\(m, &strings, times\)/,
  });
}
checkMatters(columns, APART, 'met', [
  [{}, true],
  [{ match: 'fit64' }, false],
]);
