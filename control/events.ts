/** Reads the audit stream: what happened to an organization, in order. */
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { guardNats } from './nats.ts';

export interface RatchetEvent {
  /** Place in the stream: `after` of the next request. */
  sequence: number;
  kind: string;
  atMs: number;
  body: Record<string, unknown>;
}

export interface EventsRequest {
  org: string;
  /** Events after this place; null = those since `sinceMs`. */
  after: number | null;
  sinceMs: number;
  limit: number;
}

const stream = 'EVENTS';

/** Events of an organization, oldest first; never waits for new ones. */
export async function readEvents(
  connection: NatsConnection,
  request: EventsRequest,
): Promise<RatchetEvent[]> {
  return await guardNats(`reading the events of ${request.org}`, async () => {
    const start =
      request.after === null
        ? {
            deliver_policy: DeliverPolicy.StartTime,
            opt_start_time: new Date(request.sinceMs).toISOString(),
          }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: request.after + 1 };
    const consumer = await jetstream(connection).consumers.get(stream, {
      filter_subjects: [`evt.${request.org}.*`],
      inactive_threshold: 10_000,
      ...start,
    });
    try {
      const { num_pending: pending } = await consumer.info();
      return await take(consumer, Math.min(pending, request.limit));
    } finally {
      await consumer.delete().catch(() => false);
    }
  });
}

type Fetcher = Pick<Awaited<ReturnType<ReturnType<typeof jetstream>['consumers']['get']>>, 'fetch'>;

async function take(consumer: Fetcher, count: number): Promise<RatchetEvent[]> {
  const events: RatchetEvent[] = [];
  if (count === 0) return events;
  const messages = await consumer.fetch({ max_messages: count, expires: 2_000 });
  for await (const message of messages) {
    const kind = message.subject.split('.')[2] ?? '';
    const atMs = Number(message.timestampNanos / 1_000_000n);
    events.push({ sequence: message.seq, kind, atMs, body: bodyOf(message.data) });
  }
  return events;
}

function bodyOf(data: Uint8Array): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch {
    // An event that is not JSON is shown without its body.
  }
  return {};
}
