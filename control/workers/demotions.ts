/**
 * Demotions: an aggregator found a module wrong, and the organization must take it out of service.
 */
import { AckPolicy, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { z } from 'zod';
import { moduleDemotedSignal, organizationId } from '../../workflows/messages.ts';
import { guardNats } from '../nats.ts';

const STREAM = 'EVENTS';
/** One consumer for all control planes: each demotion is forwarded once. */
const CONSUMER = 'control-demotions';
const SECOND_NS = 1_000_000_000;
const RETRY_MS = 5_000;
const DELIVERIES_MAX = 100;

const bodySchema = z.looseObject({
  configuration: z.string(),
  module: z.string(),
  reason: z.string().default(''),
});

export interface Forwarding {
  close(): Promise<void>;
  ended: Promise<void>;
}

export async function forwardDemotions(nats: NatsConnection, client: Client): Promise<Forwarding> {
  const messages = await guardNats('subscribing to demotions', async () => {
    const manager = await jetstreamManager(nats);
    await manager.consumers.add(STREAM, {
      durable_name: CONSUMER,
      ack_policy: AckPolicy.Explicit,
      ack_wait: 30 * SECOND_NS,
      filter_subject: 'evt.*.demoted',
      max_deliver: DELIVERIES_MAX,
      max_ack_pending: 16,
    });
    const consumer = await jetstream(nats).consumers.get(STREAM, CONSUMER);
    return await consumer.consume({ max_messages: 16 });
  });
  let closing = false;
  const loop = (async () => {
    for await (const message of messages) await forward(client, message);
    if (!closing) throw new Error('the subscription to demotions ended');
  })();
  return {
    ended: loop,
    close: async () => {
      closing = true;
      await messages.close();
      await loop.catch(() => undefined);
    },
  };
}

/** Signals are kept by Temporal, so a message is done as soon as its signal was taken. */
async function forward(client: Client, message: JsMsg): Promise<void> {
  const org = message.subject.split('.')[1] ?? '';
  const body = bodySchema.safeParse(parse(message.data));
  if (!body.success) return message.term('not a demotion');
  const { configuration, module, reason } = body.data;
  try {
    const handle = client.workflow.getHandle(organizationId(org));
    await handle.signal(moduleDemotedSignal, {
      configuration,
      module,
      reason: reason.slice(0, 200),
    });
    message.ack();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) message.term('no such organization');
    else message.nak(RETRY_MS);
  }
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return undefined;
  }
}
