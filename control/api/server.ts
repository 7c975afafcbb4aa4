import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Api } from './app.ts';

export interface ApiServer {
  /** `host:port`, with the port that was taken when 0 was asked for. */
  readonly address: string;
  /** Takes no new request, waits for those under way, and cuts them off after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  hostname: string;
  port: number;
}

const connectionsMax = 512;

export async function listen(app: Api, options: ListenOptions): Promise<ApiServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: 30_000,
      headersTimeout: 10_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16 * 1024,
    },
  }) as Server<typeof IncomingMessage, typeof ServerResponse>;
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.hostname, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return { address: addressOf(server), close: (graceMs) => close(server, graceMs) };
}

function addressOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}
