/** The streams INGEST and AGGREGATES as an administrator reads them, decoded. */
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { decodeMessage } from '../../../control/payload/payload.ts';
import { connectNats, type Stack } from '../../../control/stack/index.ts';

export interface Sent {
  metric: string;
  tags: Record<string, string>;
  ts: number;
  value: number;
}

export class Stored {
  private readonly connection: NatsConnection;
  private readonly manager: JetStreamManager;

  private constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection;
    this.manager = manager;
  }

  static async open(stack: Stack): Promise<Stored> {
    const password = stack.secrets.password('admin');
    const connection = await connectNats(stack.addresses.nats, 'admin', password);
    return new Stored(connection, await jetstreamManager(connection));
  }

  /** The points of an organization, in stream order. */
  points(org: string): Promise<Sent[]> {
    return this.read('INGEST', org);
  }

  /** What became of them: a point a rule, group and window, named by the rule. */
  emitted(org: string): Promise<Sent[]> {
    return this.read('AGGREGATES', org);
  }

  private async read(stream: string, org: string): Promise<Sent[]> {
    const found: Sent[] = [];
    const { state } = await this.manager.streams.info(stream);
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await this.manager.streams.getMessage(stream, { seq });
      if (message === null || !message.subject.endsWith(`.${org}`)) continue;
      const { sets, points } = decodeMessage(message.data);
      for (const { set, ts, value } of points) {
        const { metric = '', tags = [] } = sets[set] ?? {};
        found.push({ metric, tags: Object.fromEntries(tags), ts, value });
      }
    }
    return found;
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}
