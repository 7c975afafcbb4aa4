/** An entity workflow (an organization, or the fleet) that runs while a test does. */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { fleet } from '../../workflows/fleet.ts';
import { FLEET } from '../../workflows/level.ts';
import * as m from '../../workflows/messages.ts';
import type { organization } from '../../workflows/organization.ts';
import { type Environment, withWorkers } from './environment.ts';
import type { Fakes } from './fakes.ts';

export type Handle = WorkflowHandle<typeof fleet> | WorkflowHandle<typeof organization>;

export async function withEntity(
  environment: Environment,
  fake: Fakes,
  input: m.OrganizationInput,
  run: (handle: Handle) => Promise<void>,
): Promise<void> {
  const { client } = environment.temporal;
  const type = input.org === FLEET ? m.WORKFLOW.fleet : m.WORKFLOW.organization;
  await withWorkers(environment, fake.activities, async () => {
    const { workflowId } = await client.workflow.start<typeof organization>(type, {
      workflowId: m.organizationId(input.org),
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    // Not of one run: it may continue as new.
    const handle = client.workflow.getHandle<typeof organization>(workflowId);
    try {
      await run(handle);
    } finally {
      await handle.terminate('end of test');
    }
  });
}

export async function until(
  handle: Handle,
  what: string,
  met: (status: m.OrganizationStatus) => boolean,
): Promise<m.OrganizationStatus> {
  for (let turn = 0; turn < 300; turn++) {
    const status = await handle.query(m.statusQuery);
    if (met(status)) return status;
    await wait(50);
  }
  assert.fail(`never ${what}: ${JSON.stringify(await handle.query(m.statusQuery))}`);
}

export const settled = (status: m.OrganizationStatus) => status.stage === 'settled';
