/**
 * INGEST keeps a message until the windows of its points are closed. So it limits a load that goes
 * on, besides the processors.
 */
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** What is in the stream, and what it may have. */
export interface Ingest {
  readonly bytes: number;
  readonly messages: number;
  readonly maxBytes: number;
}

/** Gateways leave the rest to ticks. */
const SHARE_FOR_POINTS = 15 / 16;
/** Until a tick tells that a window is over, and until it is looked what can go (`sweep.rs`). */
const DONE_AFTER_MS = 1_000 + 5_000;

export async function readIngest(connection: NatsConnection): Promise<Ingest> {
  const manager = await jetstreamManager(connection);
  const { config, state } = await manager.streams.info('INGEST');
  return { bytes: state.bytes, messages: state.messages, maxBytes: config.max_bytes };
}

/**
 * Messages a second, of the size of those that are there, for which there is room while each stays
 * until a window that it began is over, `openMs` after its beginning.
 */
export function roomPerSecond({ bytes, messages, maxBytes }: Ingest, openMs: number): number {
  if (messages === 0) throw new Error('INGEST has no message');
  // No limit.
  if (maxBytes <= 0) return Number.POSITIVE_INFINITY;
  const seconds = (openMs + DONE_AFTER_MS) / 1_000;
  return (SHARE_FOR_POINTS * maxBytes) / (bytes / messages) / seconds;
}
