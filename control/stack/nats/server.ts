import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePassword } from '../keys.ts';
import { host, type Ports } from '../ports.ts';
import {
  httpProbe,
  type Launch,
  type Service,
  serverEnvironment,
  startService,
} from '../service.ts';
import { collectorEnvironment } from './collector.ts';
import { renderNatsConfig } from './config.ts';
import { connectNats } from './connect.ts';
import { type NatsUser, natsUsers } from './permissions.ts';
import { provision } from './provision.ts';

export interface NatsOptions extends Launch {
  readonly executable: string;
  readonly stateDir: string;
  /** Claimed ports, none of them 0. */
  readonly ports: Pick<Ports, 'nats' | 'natsMonitor'>;
}

export function natsUrl(ports: Pick<Ports, 'nats'>): string {
  return `nats://${host}:${ports.nats}`;
}

/** Starts nats-server with the users' rights, and creates the streams and buckets. */
export async function startNats(options: NatsOptions): Promise<Service> {
  const passwords = natsPasswords(options.stateDir);
  const configFile = writeConfig(options, passwords);
  const service = await startService({
    name: 'nats',
    command: options.executable,
    args: ['--config', configFile],
    env: { ...serverEnvironment(), ...collectorEnvironment() },
    cwd: options.stateDir,
    logFile: join(options.stateDir, 'logs', 'nats.log'),
    probe: httpProbe(`http://${host}:${options.ports.natsMonitor}/healthz`),
    readyWithinMs: 30_000,
    graceMs: 10_000,
    onSpawn: options.onSpawn,
    signal: options.signal,
  });
  try {
    await provisionAsAdmin(natsUrl(options.ports), passwords.admin);
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

export function natsPasswords(stateDir: string): Record<NatsUser, string> {
  const entries = natsUsers.map((user) => [user, ensurePassword(stateDir, user)]);
  return Object.fromEntries(entries) as Record<NatsUser, string>;
}

async function provisionAsAdmin(url: string, password: string): Promise<void> {
  const connection = await connectNats(url, 'admin', password);
  try {
    await provision(connection);
  } finally {
    await connection.close();
  }
}

function writeConfig(options: NatsOptions, passwords: Record<NatsUser, string>): string {
  const directory = join(options.stateDir, 'nats');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'nats.conf');
  const draft = `${file}.${process.pid}.draft`;
  const text = renderNatsConfig({
    port: options.ports.nats,
    monitorPort: options.ports.natsMonitor,
    storeDir: join(directory, 'jetstream'),
    passwords,
  });
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
  return file;
}
