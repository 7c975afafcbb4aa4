/**
 * Demotions: an aggregator found a module wrong, and the organization, or the fleet, must take it
 * out of service.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { z } from 'zod';
import { moduleDemotedSignal, organizationId } from '../../workflows/messages.ts';
import { type Forwarding, forwardEvents } from './forward.ts';

const bodySchema = z.looseObject({
  configuration: z.string(),
  module: z.string(),
  reason: z.string().default(''),
});

/** Signals are kept by Temporal, so a message is done as soon as its signal was taken. */
export function forwardDemotions(nats: NatsConnection, client: Client): Promise<Forwarding> {
  return forwardEvents(nats, {
    consumer: 'control-demotions',
    subject: 'evt.*.demoted',
    forward: async (org, told) => {
      const body = bodySchema.safeParse(told);
      if (!body.success) return 'not a demotion';
      const { configuration, module, reason } = body.data;
      const handle = client.workflow.getHandle(organizationId(org));
      try {
        const demoted = { configuration, module, reason: reason.slice(0, 200) };
        await handle.signal(moduleDemotedSignal, demoted);
        return null;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'no such organization';
        throw error;
      }
    },
  });
}
