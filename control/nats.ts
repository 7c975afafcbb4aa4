/** The connection to NATS, and its errors told in the words of this system. */
import { readFile } from 'node:fs/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import {
  AuthorizationError,
  ClosedConnectionError,
  ConnectionError,
  connect,
  DrainingConnectionError,
  errors,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  TimeoutError,
} from '@nats-io/transport-node';
import type { NatsSettings } from './config.ts';

/**
 * `unavailable`: try again later. `denied`: this user may not do that. `conflict`: somebody else
 * wrote meanwhile. `missing`: the stream, bucket or object does not exist. `invalid`: what is
 * stored is not what it should be. `too-many`: it was done too often of late.
 */
export type NatsFaultCode =
  | 'unavailable'
  | 'denied'
  | 'conflict'
  | 'missing'
  | 'invalid'
  | 'too-many';

export class NatsFault extends Error {
  override readonly name = 'NatsFault';
  readonly code: NatsFaultCode;

  constructor(code: NatsFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Replies of a user arrive below its own prefix, so that nobody reads another one's. */
export function inboxPrefix(user: string): string {
  return `_INBOX_${user}`;
}

/** Connects, and from then on reconnects for as long as the process runs. */
export async function connectNats(settings: NatsSettings, name: string): Promise<NatsConnection> {
  const pass = await readPassword(settings.passwordFile);
  return await guardNats(`connecting to ${settings.url} as ${settings.user}`, () =>
    connect({
      servers: settings.url.split(','),
      user: settings.user,
      pass,
      name,
      inboxPrefix: inboxPrefix(settings.user),
      timeout: 5_000,
      pingInterval: 10_000,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      reconnectJitter: 500,
      ...(settings.caFile === null ? {} : { tls: { caFile: settings.caFile } }),
    }),
  );
}

/** Runs one operation; whatever NATS throws becomes a `NatsFault` that says what was tried. */
export async function guardNats<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toFault(what, error);
  }
}

export function toFault(what: string, error: unknown): unknown {
  if (error instanceof NatsFault || !(error instanceof Error)) return error;
  const code = faultCode(error);
  if (code === null) return error;
  return new NatsFault(code, `${what}: ${error.message}`, { cause: error });
}

/** JetStream's codes: 10071 and 10164 are a lost compare-and-set, 10059 a missing stream. */
const conflictCodes: ReadonlySet<number> = new Set([10_071, 10_164]);

function faultCode(error: Error): NatsFaultCode | null {
  if (error instanceof JetStreamApiError) {
    if (conflictCodes.has(error.code)) return 'conflict';
    return error.status === 404 ? 'missing' : error.status === 503 ? 'unavailable' : null;
  }
  if (error instanceof PermissionViolationError || error instanceof AuthorizationError) {
    return 'denied';
  }
  if (error instanceof errors.RequestError) {
    if (error.cause instanceof PermissionViolationError) return 'denied';
    return 'unavailable';
  }
  const passing =
    error instanceof TimeoutError ||
    error instanceof NoRespondersError ||
    error instanceof ConnectionError ||
    error instanceof ClosedConnectionError ||
    error instanceof DrainingConnectionError ||
    ('code' in error && error.code === 'ECONNREFUSED');
  return passing ? 'unavailable' : null;
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NatsFault('denied', `the NATS password cannot be read: ${reason}`, { cause: error });
  }
}
