import type { Operator } from '../operator.ts';
import { isMasks } from './group.ts';

/**
 * The steps of a message in one function, or the loops that take long in functions of their own: a
 * function of thousands of instructions has no registers left for its innermost loops.
 */
export const calls: Operator = {
  name: 'calls',
  about: 'functions of hot loops',
  plain: 'inline',
  options: () => [
    { value: 'inline', prior: 2 },
    { value: 'apart', prior: 2 },
  ],
  matters: isMasks,
  apply: (value) => ({ inlined: value === 'apart' ? 'never' : 'always' }),
};
