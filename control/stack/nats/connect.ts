import { connect, type NatsConnection } from '@nats-io/transport-node';
import { inboxPrefix, type NatsUser } from './permissions.ts';

/** Connects as one of the users of the generated configuration. */
export function connectNats(url: string, user: NatsUser, pass: string): Promise<NatsConnection> {
  return connect({
    servers: url,
    user,
    pass,
    name: user,
    inboxPrefix: inboxPrefix(user),
    timeout: 5_000,
  });
}
