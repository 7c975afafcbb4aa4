/**
 * The fleet's side of the workers: its workflow runs, lets tenants go first, and every organization
 * hears when another module of the fleet serves.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { z } from 'zod';
import type { fleet } from '../../workflows/fleet.ts';
import { FLEET, FLEET_PRIORITY } from '../../workflows/level.ts';
import {
  CONTROL_QUEUE,
  evolverQueue,
  fleetChangedSignal,
  organizationId,
  searchAttributes,
  WIRE_SCHEMA,
  WORKFLOW,
} from '../../workflows/messages.ts';
import type { EvolutionDefaults } from '../evolution.ts';
import type { ConfigurationTable } from '../tables.ts';
import { type Forwarding, forwardEvents } from './forward.ts';

/** Once; a control plane that finds it running leaves it alone. */
export async function startFleet(
  client: Client,
  host: string,
  { settings, budget }: EvolutionDefaults['fleet'],
): Promise<void> {
  await client.workflow.start<typeof fleet>(WORKFLOW.fleet, {
    workflowId: organizationId(FLEET),
    workflowIdConflictPolicy: 'USE_EXISTING',
    taskQueue: CONTROL_QUEUE,
    args: [
      { schema: WIRE_SCHEMA, org: FLEET, evolver_queue: evolverQueue(host), settings, budget },
    ],
    staticSummary: 'The module of every organization without a better one',
    priority: { fairnessKey: FLEET, priorityKey: FLEET_PRIORITY },
    typedSearchAttributes: [{ key: searchAttributes.orgId, value: FLEET }],
  });
}

const EVOLVING =
  `WorkflowType = '${WORKFLOW.organization}' AND ExecutionStatus = 'Running' ` +
  `AND ${searchAttributes.stage.name} = 'evolving'`;

export async function countEvolving(client: Client): Promise<number> {
  const { count } = await client.workflow.count(EVOLVING);
  return count;
}

const bodySchema = z.looseObject({ version: z.int().positive(), module: z.string().nullable() });

/** Signals of one swap that are under way at a time. */
const SIGNALS_MAX = 16;

/** An organization that hears it twice does nothing twice. */
export function forwardFleetSwaps(
  nats: NatsConnection,
  client: Client,
  configurations: Pick<ConfigurationTable, 'organizations'>,
): Promise<Forwarding> {
  return forwardEvents(nats, {
    consumer: 'control-fleet',
    subject: `evt.${FLEET}.swapped`,
    forward: async (_, told) => {
      const body = bodySchema.safeParse(told);
      if (!body.success) return 'not a swap';
      const { version, module } = body.data;
      // A module that went away challenges nobody.
      if (module === null) return null;
      const organizations = await configurations.organizations();
      for (let at = 0; at < organizations.length; at += SIGNALS_MAX) {
        const some = organizations.slice(at, at + SIGNALS_MAX);
        await Promise.all(some.map((org) => tell(client, org, version)));
      }
      return null;
    },
  });
}

async function tell(client: Client, org: string, version: number): Promise<void> {
  try {
    await client.workflow.getHandle(organizationId(org)).signal(fleetChangedSignal, { version });
  } catch (error) {
    // Configured, but its workflow does not run: it has no module to be challenged.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
