/** Faults as Temporal must see them: which ones no retry mends. */
import { ApplicationFailure } from '@temporalio/common';
import { NatsFault } from '../control/nats.ts';
import { StoreError } from '../control/store/index.ts';
import { LlmFault, type LlmFaultCode } from '../evolver/llm/faults.ts';
import { FATAL } from './types.ts';

export function fatal(type: keyof typeof FATAL, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, FATAL[type]);
}

/** Wraps every activity: errors of the store and of NATS get the types that retry policies name. */
export function translateFault(error: unknown): unknown {
  if (error instanceof LlmFault) return modelFault(error);
  if (error instanceof StoreError && error.code !== 'too-large') {
    return fatal('missingObject', error.message);
  }
  if (error instanceof NatsFault && error.code === 'denied') {
    return fatal('notAuthorised', error.message);
  }
  if (error instanceof NatsFault) {
    return ApplicationFailure.retryable(error.message, `Nats-${error.code}`);
  }
  return error;
}

const MODEL_FAULTS: Partial<Record<LlmFaultCode, keyof typeof FATAL>> = {
  auth: 'llmAuth',
  'bad-request': 'llmBadRequest',
  setup: 'llmBadRequest',
};

function modelFault({ code, message, retryAfterMs }: LlmFault): ApplicationFailure {
  const type = MODEL_FAULTS[code];
  if (type !== undefined) return fatal(type, message);
  const delay = retryAfterMs === null ? {} : { nextRetryDelay: retryAfterMs };
  return ApplicationFailure.create({ message, type: 'LlmUnavailable', ...delay });
}
