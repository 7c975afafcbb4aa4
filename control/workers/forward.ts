/** Events that aggregators tell and workflows must hear of: each is forwarded once. */
import { AckPolicy, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { guardNats } from '../nats.ts';

const STREAM = 'EVENTS';
const SECOND_NS = 1_000_000_000;
const RETRY_MS = 5_000;
const DELIVERIES_MAX = 100;

export interface Followed {
  /** Names the one consumer of all control planes. */
  consumer: string;
  subject: string;
  /** Null = done; a reason = never to be tried again; what is thrown is tried again. */
  forward(org: string, body: unknown): Promise<string | null>;
}

export interface Forwarding {
  close(): Promise<void>;
  /** Settles only as a fault. */
  ended: Promise<void>;
}

export async function forwardEvents(
  nats: NatsConnection,
  { consumer: name, subject, forward }: Followed,
): Promise<Forwarding> {
  const messages = await guardNats(`subscribing to ${subject}`, async () => {
    const manager = await jetstreamManager(nats);
    await manager.consumers.add(STREAM, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      ack_wait: 30 * SECOND_NS,
      filter_subject: subject,
      max_deliver: DELIVERIES_MAX,
      max_ack_pending: 16,
    });
    const consumer = await jetstream(nats).consumers.get(STREAM, name);
    return await consumer.consume({ max_messages: 16 });
  });
  let closing = false;
  const loop = (async () => {
    for await (const message of messages) await settle(message, forward);
    if (!closing) throw new Error(`the subscription to ${subject} ended`);
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

async function settle(message: JsMsg, forward: Followed['forward']): Promise<void> {
  const org = message.subject.split('.')[1] ?? '';
  try {
    const refusal = await forward(org, parse(message.data));
    if (refusal === null) message.ack();
    else message.term(refusal);
  } catch {
    message.nak(RETRY_MS);
  }
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return undefined;
  }
}
