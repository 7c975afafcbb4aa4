import { createServer } from 'node:net';
import { StackError } from './errors.ts';

/** Every server of the development stack listens on loopback only. */
export const host = '127.0.0.1';

export interface Ports {
  readonly temporal: number;
  readonly temporalUi: number;
  readonly temporalMetrics: number;
  readonly nats: number;
  readonly natsMonitor: number;
  readonly aggregator: number;
  /** OTLP/HTTP, remote write and native messages. */
  readonly ingestHttp: number;
  /** OTLP/gRPC. */
  readonly ingestGrpc: number;
  readonly query: number;
  readonly api: number;
}

export type PortName = keyof Ports;

/** Ports of `npm start`; the Temporal ones come from temporal-dev.yaml. */
export const defaultPorts = {
  nats: 4222,
  natsMonitor: 8222,
  aggregator: 8481,
  ingestHttp: 4318,
  ingestGrpc: 4317,
  query: 8482,
  api: 8480,
} as const;

/** The ports of OTLP may be those of a collector that runs here: then any other will do. */
const preferred: Readonly<Partial<Record<PortName, number>>> = {
  ingestHttp: defaultPorts.ingestHttp,
  ingestGrpc: defaultPorts.ingestGrpc,
};

const variables: Record<PortName, string> = {
  temporal: 'RATCHET_TEMPORAL_PORT',
  temporalUi: 'RATCHET_TEMPORAL_UI_PORT',
  temporalMetrics: 'RATCHET_TEMPORAL_METRICS_PORT',
  nats: 'RATCHET_NATS_PORT',
  natsMonitor: 'RATCHET_NATS_MONITOR_PORT',
  aggregator: 'RATCHET_AGGREGATOR_PORT',
  ingestHttp: 'RATCHET_INGEST_HTTP_PORT',
  ingestGrpc: 'RATCHET_INGEST_GRPC_PORT',
  query: 'RATCHET_QUERY_PORT',
  api: 'RATCHET_API_PORT',
};

export const portNames = Object.keys(variables) as PortName[];

/** Every port 0: each server gets a free one, so that many stacks can run side by side. */
export const freePorts: Ports = {
  temporal: 0,
  temporalUi: 0,
  temporalMetrics: 0,
  nats: 0,
  natsMonitor: 0,
  aggregator: 0,
  ingestHttp: 0,
  ingestGrpc: 0,
  query: 0,
  api: 0,
};

/** The environment overrides the configured ports. */
export function portsFromEnvironment(configured: Ports, env: NodeJS.ProcessEnv): Ports {
  const entries = portNames.map((name) => {
    const text = env[variables[name]];
    return [name, text === undefined || text === '' ? configured[name] : parsePort(name, text)];
  });
  return Object.fromEntries(entries) as Ports;
}

function parsePort(name: PortName, text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new StackError(
      `${variables[name]}: "${text}" is not a port (0 to 65535, 0 = any free one)`,
    );
  }
  return port;
}

/** A configured port must be free; 0 picks one, and so does one that is only preferred. */
export async function claimPort(name: PortName, port: number): Promise<number> {
  try {
    return await listenOnce(port);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code === 'EADDRINUSE' && preferred[name] === port) return listenOnce(0);
    const why = code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be used (${code})`;
    throw new StackError(
      `port ${port} (${name}) ${why}; stop what listens on ${host}:${port}, ` +
        `or choose another port with ${variables[name]} (0 = any free one)`,
      { cause },
    );
  }
}

/** Ports are claimed one after another while the earlier ones are held: they are distinct. */
export async function claimPorts(wanted: Ports, names: readonly PortName[]): Promise<Ports> {
  const claimed: Record<PortName, number> = { ...wanted };
  const taken = new Set<number>();
  for (const name of names) {
    claimed[name] = await claimDistinct(name, wanted[name], taken);
    taken.add(claimed[name]);
  }
  return claimed;
}

async function claimDistinct(name: PortName, port: number, taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const claimed = await claimPort(name, port);
    if (!taken.has(claimed)) return claimed;
    if (port !== 0) throw new StackError(`port ${port} (${name}) is configured for two servers`);
  }
  throw new StackError(`no free port found for ${name}`);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const claimed = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(claimed));
    });
  });
}
