import {
  type Client,
  isGrpcDeadlineError,
  isGrpcServiceError,
  QueryNotRegisteredError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, type UpdateDefinition } from '@temporalio/common';
import {
  type Budget,
  CONTROL_QUEUE,
  configureUpdate,
  type EvolutionSettings,
  evolverQueue,
  evolveUpdate,
  type OrganizationInput,
  organizationId,
  pauseUpdate,
  REJECTION,
  rerunGenerationUpdate,
  resumeUpdate,
  rollbackUpdate,
  searchAttributes,
  setBudgetUpdate,
  statusQuery,
  submitUpdate,
  WIRE_SCHEMA,
  WORKFLOW,
} from '../../workflows/messages.ts';
import { GatewayError, type Identified, type OrganizationGateway } from './gateway.ts';

export interface TemporalGatewayOptions {
  client: Client;
  /** The evolver host that a new organization sticks to. */
  evolverHost: string;
  settings: EvolutionSettings;
  budget: Budget;
}

/** How long a worker may take to answer; below the API's own limit. */
const answerMs = 20_000;

export function temporalGateway(options: TemporalGatewayOptions): OrganizationGateway {
  const { client } = options;
  const update =
    <Reply, Request>(definition: UpdateDefinition<Reply, [Request]>) =>
    (org: string, request: Identified<Request>): Promise<Reply> =>
      guard(org, client, () =>
        client.workflow.getHandle(organizationId(org)).executeUpdate(definition, {
          args: [request],
          updateId: request.request_id,
        }),
      );
  return {
    status: (org) => status(client, org),
    configure: (org, request) =>
      guard(org, client, () =>
        client.workflow.executeUpdateWithStart(configureUpdate, {
          args: [request],
          updateId: request.request_id,
          startWorkflowOperation: startOperation(org, options),
        }),
      ),
    evolve: update(evolveUpdate),
    pause: update(pauseUpdate),
    resume: update(resumeUpdate),
    rerunGeneration: update(rerunGenerationUpdate),
    rollback: update(rollbackUpdate),
    submit: update(submitUpdate),
    setBudget: update(setBudgetUpdate),
  };
}

type OrganizationWorkflow = (input: OrganizationInput) => Promise<void>;

function startOperation(org: string, options: TemporalGatewayOptions) {
  const input: OrganizationInput = {
    schema: WIRE_SCHEMA,
    org,
    evolver_queue: evolverQueue(options.evolverHost),
    settings: options.settings,
    budget: options.budget,
  };
  return new WithStartWorkflowOperation<OrganizationWorkflow>(WORKFLOW.organization, {
    workflowId: organizationId(org),
    workflowIdConflictPolicy: 'USE_EXISTING',
    taskQueue: CONTROL_QUEUE,
    args: [input],
    staticSummary: `Organization ${org}`,
    priority: { fairnessKey: org },
    typedSearchAttributes: [{ key: searchAttributes.orgId, value: org }],
  });
}

async function status(client: Client, org: string) {
  const handle = client.workflow.getHandle(organizationId(org));
  try {
    return await guard(org, client, () => handle.query(statusQuery));
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'unknown') return null;
    throw error;
  }
}

async function guard<T>(org: string, client: Client, run: () => Promise<T>): Promise<T> {
  try {
    return await client.withDeadline(Date.now() + answerMs, run);
  } catch (error) {
    throw toGatewayError(org, error);
  }
}

/** Tells Temporal's errors in the words of the gateway; unforeseen ones pass unchanged. */
export function toGatewayError(org: string, error: unknown): unknown {
  if (error instanceof WorkflowUpdateFailedError) return rejection(error) ?? error;
  if (error instanceof WorkflowNotFoundError) {
    return new GatewayError('unknown', `organization ${org} has no configuration yet`);
  }
  const late =
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error);
  if (late) {
    const message = `no worker answered for organization ${org} within ${answerMs / 1_000} s`;
    return new GatewayError('timeout', message, { cause: error });
  }
  if (error instanceof QueryNotRegisteredError) {
    return new GatewayError('unavailable', `organization ${org} is starting`, { cause: error });
  }
  if (isGrpcServiceError(error)) {
    return new GatewayError('unavailable', `Temporal: ${error.message}`, { cause: error });
  }
  return error;
}

const rejectionCodes = new Map<string, 'invalid' | 'conflict' | 'unknown'>([
  [REJECTION.invalid, 'invalid'],
  [REJECTION.conflict, 'conflict'],
  [REJECTION.unknown, 'unknown'],
]);

function rejection(error: WorkflowUpdateFailedError): GatewayError | null {
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) return null;
  const code = rejectionCodes.get(cause.type ?? '');
  return code === undefined ? null : new GatewayError(code, cause.message, { cause: error });
}
