/** The grammar: every operator, in the order in which a genome lists them. */
import type { Operator } from '../operator.ts';
import { calls } from './calls.ts';
import { cells } from './cells.ts';
import { columns } from './columns.ts';
import { compare } from './compare.ts';
import { dispatch } from './dispatch.ts';
import { emit } from './emit.ts';
import { extremes } from './extremes.ts';
import { group } from './group.ts';
import { known } from './known.ts';
import { literals } from './literals.ts';
import { lone } from './lone.ts';
import { match } from './match.ts';
import { memo } from './memo.ts';
import { order } from './order.ts';
import { pull } from './pull.ts';
import { split } from './split.ts';
import { subsets } from './subsets.ts';
import { unroll } from './unroll.ts';
import { windows } from './windows.ts';

export const OPERATORS: readonly Operator[] = [
  dispatch,
  match,
  group,
  order,
  windows,
  pull,
  columns,
  memo,
  known,
  literals,
  compare,
  cells,
  extremes,
  emit,
  split,
  subsets,
  lone,
  calls,
  unroll,
];
