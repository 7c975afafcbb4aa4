/** Connections to Temporal from settings: one for clients, one for workers. */
import { readFile } from 'node:fs/promises';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import type { TemporalSettings, TemporalTls } from './config.ts';

/** What `Connection.connect` and `NativeConnection.connect` both take. */
export type TemporalConnectionOptions = Pick<ConnectionOptions, 'address' | 'tls'> & {
  address: string;
  apiKey?: string;
};

export async function temporalOptions(
  settings: TemporalSettings,
): Promise<TemporalConnectionOptions> {
  return {
    address: settings.address,
    tls: settings.tls === null ? false : await readTls(settings.tls),
    ...(settings.apiKey === null ? {} : { apiKey: settings.apiKey }),
  };
}

export async function connectTemporal(settings: TemporalSettings): Promise<Client> {
  const options = await temporalOptions(settings);
  const connection = await Connection.connect({ ...options, connectTimeout: 10_000 });
  return new Client({ connection, namespace: settings.namespace });
}

async function readTls(tls: TemporalTls) {
  const [ca, crt, key] = await Promise.all([
    read(tls.serverCaFile),
    read(tls.clientCertFile),
    read(tls.clientKeyFile),
  ]);
  return {
    ...(tls.serverName === null ? {} : { serverNameOverride: tls.serverName }),
    ...(ca === null ? {} : { serverRootCACertificate: ca }),
    ...(crt === null || key === null ? {} : { clientCertPair: { crt, key } }),
  };
}

async function read(file: string | null): Promise<Buffer | null> {
  return file === null ? null : await readFile(file);
}
