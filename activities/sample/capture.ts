/** Reads captured training messages of one organization and configuration. */
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { guardNats } from '../../control/nats.ts';
import { short } from '../keys.ts';

const STREAM = 'TRAINING';
/** A capture subject never holds more. */
export const MESSAGES_MAX = 512;
/** Bounds what one corpus holds. */
export const BYTES_MAX = 24 * 1024 * 1024;
const FETCH_MS = 5_000;

export function trainingSubject(org: string, configuration: string): string {
  return `training.${org}.${short(configuration)}`;
}

export async function countTraining(
  nats: NatsConnection,
  org: string,
  configuration: string,
): Promise<number> {
  const subject = trainingSubject(org, configuration);
  return await guardNats(`counting ${subject}`, async () => {
    const manager = await jetstreamManager(nats, { checkAPI: false });
    const info = await manager.streams.info(STREAM, { subjects_filter: subject });
    return info.state.subjects?.[subject] ?? 0;
  });
}

/** How many training messages each subject holds. */
export async function countEveryTraining(nats: NatsConnection): Promise<Map<string, number>> {
  return await guardNats('counting training messages', async () => {
    const manager = await jetstreamManager(nats, { checkAPI: false });
    const info = await manager.streams.info(STREAM, { subjects_filter: 'training.>' });
    return new Map(Object.entries(info.state.subjects ?? {}));
  });
}

/** The newest messages, oldest first. */
export async function readTraining(
  nats: NatsConnection,
  org: string,
  configuration: string,
): Promise<Uint8Array[]> {
  const subject = trainingSubject(org, configuration);
  return await guardNats(`reading ${subject}`, async () => {
    const consumer = await jetstream(nats, { checkAPI: false }).consumers.get(STREAM, {
      filter_subjects: [subject],
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: 10_000,
    });
    try {
      const { num_pending: pending } = await consumer.info();
      return pending === 0 ? [] : await take(consumer, Math.min(pending, MESSAGES_MAX));
    } finally {
      await consumer.delete().catch(() => false);
    }
  });
}

type Source = Pick<Awaited<ReturnType<ReturnType<typeof jetstream>['consumers']['get']>>, 'fetch'>;

async function take(consumer: Source, count: number): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = [];
  let bytes = 0;
  const batch = await consumer.fetch({ max_messages: count, expires: FETCH_MS });
  for await (const message of batch) {
    bytes += message.data.length;
    if (bytes > BYTES_MAX) break;
    messages.push(message.data);
  }
  return messages;
}
