/** What a failed activity or child said, in one line. */
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { clip } from './summary.ts';

export const DETAIL_MAX = 300;

export function describeFailure(error: unknown): string {
  const inner =
    (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause
      ? error.cause
      : error;
  return clip(text(inner, error).replaceAll(/\s+/g, ' '), DETAIL_MAX);
}

function text(inner: unknown, outer: unknown): string {
  const stage = outer instanceof ActivityFailure ? `${outer.activityType}: ` : '';
  if (inner instanceof TimeoutFailure) return `${stage}timeout (${inner.timeoutType})`;
  if (inner instanceof ApplicationFailure && inner.type) {
    return `${stage}${inner.type}: ${inner.message}`;
  }
  return stage + (inner instanceof Error ? inner.message : String(inner));
}
