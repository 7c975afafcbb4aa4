/** What tests need that build and measure; without it they say so and are counted as skipped. */
import { type Executables, findExecutables } from '../control/stack/executables.ts';

export const found = executables();
/** Of tests that compile and measure. */
export const options = found === null ? { skip: 'run the bootstrap first' } : {};

function executables(): Executables | null {
  try {
    return findExecutables();
  } catch {
    return null;
  }
}
