import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { LlmFault, type LlmFaultCode } from '../evolver/llm/faults.ts';
import { translateFault } from './faults.ts';

function check(code: LlmFaultCode, retryAfterMs: number | null, expected: unknown[]): void {
  const failure = translateFault(new LlmFault(code, 'why', retryAfterMs));
  assert.ok(failure instanceof ApplicationFailure);
  const { type, nonRetryable, nextRetryDelay, message } = failure;
  assert.deepEqual([type, nonRetryable === true, nextRetryDelay ?? null], expected);
  assert.equal(message, 'why');
}

test('what a retry may mend is retried, after what the server asked for', () => {
  check('unavailable', null, ['LlmUnavailable', false, null]);
  check('unavailable', 7_000, ['LlmUnavailable', false, 7_000]);
});

test('a refused key, a refused request and a wrong set-up are final', () => {
  check('auth', null, ['LlmAuth', true, null]);
  check('bad-request', null, ['LlmBadRequest', true, null]);
  check('setup', null, ['LlmBadRequest', true, null]);
});
