import {
  checkMatters,
  checkOffers,
  checkPriors,
  checkRewrite,
  FLEET,
  GROUPS,
  situation,
} from '../test/checks.ts';
import { windows } from './windows.ts';

const of = (singleWindow: number) => situation([{}], [], { singleWindow });

checkOffers(windows, [
  ['any rules', GROUPS, ['general', 'single']],
  ['the fleet', FLEET, ['general', 'single']],
]);
checkPriors(windows, [
  ['messages within one window', of(1), 'single', 'general'],
  ['messages across windows: the test costs nothing', of(0), 'single', 'general'],
]);
checkRewrite(windows, GROUPS, {}, { general: /let times = true/, single: /let times = !single/ });
checkMatters(windows, GROUPS, 'single', [
  [{}, true],
  [{ match: 'fit64' }, false],
]);
