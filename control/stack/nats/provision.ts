import {
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { StackError } from '../errors.ts';
import { type StreamSpec, streams } from './topology.ts';

export interface ProvisionReport {
  readonly created: readonly string[];
  readonly updated: readonly string[];
}

const streamNotFound = 10_059;

/**
 * Creates the streams and buckets that are missing and updates those that differ.
 * Needs the admin user; doing it again changes nothing.
 */
export async function provision(connection: NatsConnection): Promise<ProvisionReport> {
  const manager = await jetstreamManager(connection);
  const created: string[] = [];
  const updated: string[] = [];
  for (const spec of streams) {
    const present = await find(manager, spec.name);
    if (present === null) {
      await manager.streams.add(spec);
      created.push(spec.name);
    } else if (await bringUpToDate(manager, spec, present)) {
      updated.push(spec.name);
    }
  }
  return { created, updated };
}

async function find(manager: JetStreamManager, name: string): Promise<StreamConfig | null> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === streamNotFound) return null;
    throw error;
  }
}

async function bringUpToDate(
  manager: JetStreamManager,
  spec: StreamSpec,
  present: StreamConfig,
): Promise<boolean> {
  if (!differs(spec, present)) return false;
  try {
    await manager.streams.update(spec.name, { ...present, ...spec });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StackError(`stream ${spec.name} exists with other settings: ${why}`, { cause });
  }
  return true;
}

function differs(spec: StreamSpec, present: StreamConfig): boolean {
  const have = present as unknown as Record<string, unknown>;
  return Object.entries(spec).some(
    ([key, value]) => JSON.stringify(have[key]) !== JSON.stringify(value),
  );
}
