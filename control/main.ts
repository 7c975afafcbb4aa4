/**
 * The control plane: one process with the HTTP API, the Temporal workers, or both.
 *
 *     node --import tsx control/main.ts [--roles api,workers]
 *
 * Settings come from environment variables (see `config.ts`); the log goes to standard error as
 * JSON. SIGTERM and SIGINT drain: no new work is taken, what is under way has 15 seconds to end.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Client } from '@temporalio/client';
import { type Logger, pino } from 'pino';
import { createApi } from './api/app.ts';
import { ArchiveRecords } from './api/records.ts';
import type { ApiServices } from './api/route.ts';
import { listen } from './api/server.ts';
import { temporalGateway } from './api/temporal-gateway.ts';
import { TokenFile } from './api/tokens.ts';
import { loadSettings, type Settings, SettingsError } from './config.ts';
import { readEvents } from './events.ts';
import { evolutionDefaults } from './evolution.ts';
import { connectNats, NatsFault } from './nats.ts';
import { ContentStore } from './store/index.ts';
import { ActiveTable, ConfigurationTable } from './tables.ts';
import { connectTemporal } from './temporal.ts';

const knownRoles = ['api', 'workers'] as const;
type ProcessRole = (typeof knownRoles)[number];

const drainMs = 15_000;

/** A part of the process; `ended` settles only if it ends by itself, which is a fault. */
interface Part {
  name: string;
  close(): Promise<void>;
  ended?: Promise<void>;
}

async function main(): Promise<number> {
  const roles = parseRoles(process.argv.slice(2));
  const settings = loadSettings(process.env);
  const logger = pino({ name: 'control', level: settings.logLevel }, pino.destination(2));
  const parts: Part[] = [];
  const stopped = stopSignal(logger);
  let status = 0;
  try {
    if (roles.includes('workers')) parts.push(await startWorkers(settings, logger));
    if (roles.includes('api')) parts.push(await startApi(settings, logger));
    logger.info({ roles }, 'ready');
    await Promise.race([stopped, ...parts.map(faultOf)]);
  } catch (error) {
    logger.fatal({ err: error }, 'the control plane ends');
    status = 1;
  }
  for (const part of parts.reverse()) {
    await part.close().catch((error: unknown) => {
      logger.error({ err: error, part: part.name }, 'closing failed');
      status = 1;
    });
  }
  logger.info('stopped');
  return status;
}

function parseRoles(args: string[]): readonly ProcessRole[] {
  const { values } = parseArgs({ args, options: { roles: { type: 'string' } } });
  const names = (values.roles ?? knownRoles.join(',')).split(',');
  return names.map((name) => {
    const role = knownRoles.find((known) => known === name);
    if (role !== undefined) return role;
    throw new SettingsError(`--roles: ${JSON.stringify(name)} is neither api nor workers`);
  });
}

async function startWorkers(settings: Settings, logger: Logger): Promise<Part> {
  // Imported late: a process that only serves the API loads no bundler and no native worker.
  const { startWorkers: start } = await import('./workers.ts');
  const { describeMutators } = await import('./workers/models.ts');
  const mutators = describeMutators(settings.models);
  const workers = await start(settings);
  logger.info({ mutators }, 'workers run');
  return { name: 'workers', close: () => workers.shutdown(), ended: workers.ended };
}

async function startApi(settings: Settings, logger: Logger): Promise<Part> {
  const nats = await connectNats(settings.nats, 'ratchet-api');
  const client = await connectTemporal(settings.temporal);
  const records = new ArchiveRecords(settings.archiveFile);
  const services = await openServices(settings, nats, client, records);
  const app = createApi({ services, logger, version: await packageVersion() });
  const server = await listen(app, settings.api);
  logger.info({ address: server.address }, 'the API listens');
  const close = async () => {
    await server.close(drainMs);
    records.close();
    await client.connection.close();
    await nats.drain();
  };
  return { name: 'api', close };
}

async function openServices(
  settings: Settings,
  nats: NatsConnection,
  client: Client,
  records: ArchiveRecords,
): Promise<ApiServices> {
  const defaults = evolutionDefaults(settings.evolution);
  return {
    gateway: temporalGateway({ client, evolverHost: settings.host, ...defaults }),
    configurations: await ConfigurationTable.open(nats),
    active: await ActiveTable.open(nats),
    records,
    store: new ContentStore(settings.storeDirectory),
    events: (request) => readEvents(nats, request),
    tokens: new TokenFile(settings.api.tokensFile),
    wasi: settings.wasi,
    health: async () => ({ nats: await probeNats(nats), temporal: await probeTemporal(client) }),
    now: Date.now,
  };
}

const probeMs = 2_000;

async function probeNats(nats: NatsConnection): Promise<string> {
  if (nats.isClosed()) return 'closed';
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer'), probeMs);
  });
  const answered = nats.rtt().then(
    () => 'ok',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const result = await Promise.race([answered, late]);
  clearTimeout(timer);
  return result;
}

async function probeTemporal(client: Client): Promise<string> {
  try {
    await client.withDeadline(Date.now() + probeMs, () =>
      client.connection.workflowService.getSystemInfo({}),
    );
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function stopSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      logger.info({ signal }, 'stopping');
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}

async function faultOf(part: Part): Promise<void> {
  if (part.ended === undefined) return await new Promise(() => undefined);
  await part.ended;
  throw new Error(`${part.name} ended by itself`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = error instanceof SettingsError || error instanceof NatsFault;
  const shown = known ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${shown}\n`);
  process.exitCode = error instanceof SettingsError ? 2 : 1;
}
// Something that was left open must not keep a drained process alive.
setTimeout(() => process.exit(), 2_000).unref();
