/**
 * Whether a request is possible in the present state: what its validator refuses by, beyond the
 * form. Synchronous and read-only.
 */
import { ApplicationFailure } from '@temporalio/workflow';
import { REJECTION, type RerunRequest, type RollbackRequest } from './messages.ts';
import { incumbent, type OrganizationState, QUEUE_MAX, rollbackTarget } from './state.ts';

export function checkConfigured({ configuration }: OrganizationState): void {
  if (configuration === null) reject('conflict', 'no configuration yet');
}

export function checkRerunPossible(state: OrganizationState, { generation }: RerunRequest): void {
  checkConfigured(state);
  const known = state.outcomes.find((outcome) => outcome.generation === generation);
  if (known === undefined) {
    const numbers = [...new Set(state.outcomes.map((outcome) => outcome.generation))].join(', ');
    reject('unknown', `generation ${generation} is not among ${numbers || 'none'}`);
  }
  if (known.submitted === true) {
    reject('conflict', `generation ${generation} was a submitted module: submit it again`);
  }
  if (known.configuration !== state.configuration?.digest) {
    reject('conflict', `generation ${generation} belongs to an earlier configuration`);
  }
  if (state.queue.length >= QUEUE_MAX) reject('conflict', `${QUEUE_MAX} re-runs are queued`);
  if (state.running?.generation === generation) {
    reject('conflict', `generation ${generation} is under way`);
  }
}

export function checkRollbackPossible(state: OrganizationState, request: RollbackRequest): void {
  checkConfigured(state);
  const serving = incumbent(state);
  if (serving === null) reject('conflict', 'no tenant module serves this configuration');
  const version = request.to_version;
  if (version === undefined) return;
  const target = rollbackTarget(state, version);
  if (target === null) {
    const versions = state.promotions.map((promotion) => promotion.version).join(', ');
    reject('unknown', `version ${version} is not among ${versions || 'none'}`);
  }
  if (target.module === serving.module) reject('conflict', `version ${version} serves already`);
}

/** One at a time: another waits with its sender, not here. */
export function checkSubmitPossible(state: OrganizationState): void {
  checkConfigured(state);
  const waiting = state.submitted;
  if (waiting !== undefined) reject('conflict', `the submitted module ${waiting.name} waits`);
}

function reject(type: keyof typeof REJECTION, message: string): never {
  throw ApplicationFailure.nonRetryable(message, REJECTION[type]);
}
