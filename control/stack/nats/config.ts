import { host } from '../ports.ts';
import { type NatsUser, natsUsers, permissions } from './permissions.ts';
import { maxFileBytes, maxMemoryBytes, maxPayloadBytes } from './topology.ts';

export interface NatsConfig {
  readonly port: number;
  readonly monitorPort: number;
  readonly storeDir: string;
  readonly passwords: Readonly<Record<NatsUser, string>>;
}

/** The server's configuration file. JSON is a subset of its language. */
export function renderNatsConfig(config: NatsConfig): string {
  const content = {
    server_name: 'ratchet-dev',
    host,
    port: config.port,
    http: `${host}:${config.monitorPort}`,
    max_payload: maxPayloadBytes,
    max_connections: 1_024,
    write_deadline: '10s',
    jetstream: {
      store_dir: config.storeDir,
      max_memory_store: maxMemoryBytes,
      max_file_store: maxFileBytes,
    },
    authorization: {
      timeout: 5,
      users: natsUsers.map((user) => userEntry(user, config.passwords[user])),
    },
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function userEntry(user: NatsUser, password: string): object {
  const { publish, subscribe, responses } = permissions[user];
  return {
    user,
    password,
    permissions: {
      publish: { allow: publish },
      subscribe: { allow: subscribe },
      ...(responses === undefined ? {} : { allow_responses: responses }),
    },
  };
}
