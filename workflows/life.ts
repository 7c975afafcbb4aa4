/**
 * The life of an entity, be it an organization or the fleet: this file wires messages to it and
 * holds the main loop; what is allowed and what comes next is decided in `state.ts`.
 */
import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { now } from './clock.ts';
import type { Organization } from './entity.ts';
import {
  configureUpdate,
  evolveUpdate,
  fleetChangedSignal,
  generationProgressSignal,
  moduleDemotedSignal,
  type OrganizationInput,
  pauseUpdate,
  REJECTION,
  rerunGenerationUpdate,
  resumeUpdate,
  rollbackUpdate,
  setBudgetUpdate,
  statusQuery,
  submitUpdate,
} from './messages.ts';
import { nextStep } from './state.ts';
import { checkConfigure, checkPause, checkResume, InvalidRequest } from './validate.ts';

/** Until it is to be continued as new. */
export async function live(entity: Organization, input: OrganizationInput): Promise<void> {
  await entity.restore();
  let generations = 0;
  while (!due(generations, input)) {
    const step = nextStep(entity.state, now());
    if (step.step === 'renew') await entity.renew();
    else if (step.step === 'capture') await entity.capture(() => due(generations, input));
    else if (step.step === 'observe') await entity.observe();
    else if (step.step === 'challenge') await entity.challenge();
    else if (step.step === 'generation') {
      await entity.generation(step.what);
      generations += 1;
    } else await entity.rest(step.until_ms, () => due(generations, input));
  }
  await condition(allHandlersFinished);
}

function due(generations: number, input: OrganizationInput): boolean {
  const asked = workflowInfo().continueAsNewSuggested;
  return asked || generations >= input.settings.generations_per_run;
}

export function wire(entity: Organization, { configurable }: { configurable: boolean }): void {
  const checked = <Args extends unknown[]>(check: (...args: Args) => void) => ({
    validator: (...args: Args) => validated(() => check(...args)),
  });
  setHandler(statusQuery, () => entity.status(), { description: 'Where the organization stands' });
  if (configurable) {
    setHandler(configureUpdate, (request) => entity.configure(request), {
      ...checked(checkConfigure),
      description: 'A configuration came into force',
    });
    setHandler(submitUpdate, (request) => entity.submit(request), {
      ...checked(entity.checkSubmit),
      description: 'Take a component that the tenant brought through the gates',
    });
  }
  setHandler(evolveUpdate, (request) => entity.evolve(request), {
    ...checked(entity.checkEvolve),
    description: 'Start evolving with a fresh budget',
  });
  setHandler(pauseUpdate, (request) => entity.pause(request), {
    ...checked(checkPause),
    description: 'Start no new generation',
  });
  setHandler(resumeUpdate, (request) => entity.resume(request), {
    ...checked(checkResume),
    description: 'Start generations again',
  });
  setHandler(rerunGenerationUpdate, (request) => entity.rerun(request), {
    ...checked(entity.checkRerun),
    description: 'Run a finished generation again from its stored inputs',
  });
  setHandler(rollbackUpdate, (request) => entity.rollback(request), {
    ...checked(entity.checkRollback),
    description: 'Return to an earlier module, or to none, and pause',
  });
  setHandler(setBudgetUpdate, (request) => entity.setBudget(request), {
    ...checked(entity.checkBudget),
    description: 'Replace parts of the budget',
  });
  setHandler(moduleDemotedSignal, (demoted) => entity.demoted(demoted), {
    description: 'An aggregator found a module wrong',
  });
  setHandler(fleetChangedSignal, (changed) => entity.fleetChanged(changed), {
    description: 'Another module of the fleet serves',
  });
  setHandler(generationProgressSignal, (progress) => entity.progress(progress), {
    description: 'Where the generation under way stands',
  });
}

/**
 * A validator's refusal must be a failure that Temporal knows, or it would fail the workflow's
 * task.
 */
export function validated(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    throw ApplicationFailure.nonRetryable(error.message, REJECTION.invalid);
  }
}
