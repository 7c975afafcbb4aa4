import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WasiPolicy } from '../config.ts';
import { apiTokensFile } from './control-plane.ts';
import { type KeyFiles, passwordFile } from './keys.ts';
import { partitions } from './nats/topology.ts';
import { host } from './ports.ts';
import {
  httpProbe,
  type Launch,
  type Service,
  serverEnvironment,
  startService,
} from './service.ts';

export type ProofPolicy = 'attested' | 'verified';

export interface IngestOptions {
  /** Claimed ports, not 0. */
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Digests of the tokens that may send. */
  readonly tokensFile: string;
}

export interface AggregatorOptions extends Launch {
  readonly executable: string;
  readonly stateDir: string;
  readonly keys: KeyFiles;
  readonly natsUrl: string;
  /** Claimed ports, not 0. */
  readonly port: number;
  readonly queryPort: number;
  /** How long a window waits for late points, such as `30s`. */
  readonly lateness: string;
  readonly proofPolicy: ProofPolicy;
  /** Whether tenants may bring modules; absent: they may not. */
  readonly wasi?: WasiPolicy;
  /** Directory of attestations. */
  readonly attestations: string;
  /** Where it takes in points by the protocols of senders; without it they come by NATS only. */
  readonly ingest?: IngestOptions;
  /** Names the process, its log and its state, where several run. */
  readonly name?: string;
  /** More of what it is told. */
  readonly flags?: readonly string[];
  /** More than a minute where many modules have to be verified first. */
  readonly readyWithinMs?: number;
}

export function startAggregator(options: AggregatorOptions): Promise<Service> {
  const name = options.name ?? 'aggregator';
  const directory = join(options.stateDir, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return startService({
    name,
    command: options.executable,
    args: aggregatorFlags(options, directory),
    env: serverEnvironment(),
    cwd: directory,
    logFile: join(options.stateDir, 'logs', `${name}.log`),
    probe: httpProbe(`http://${host}:${options.port}/healthz`),
    readyWithinMs: options.readyWithinMs ?? 60_000,
    graceMs: 15_000,
    onSpawn: options.onSpawn,
    signal: options.signal,
  });
}

function aggregatorFlags(options: AggregatorOptions, directory: string): string[] {
  const { keys } = options;
  return [
    'run',
    ...['--nats-url', options.natsUrl, '--nats-user', 'aggregator'],
    ...['--nats-password-file', passwordFile(options.stateDir, 'aggregator')],
    ...['--state-dir', directory],
    ...['--trust', keys.trust, '--validator-key', keys.validator, '--split-key', keys.split],
    ...['--http', `${host}:${options.port}`],
    ...['--query-http', `${host}:${options.queryPort}`],
    ...['--query-tokens', apiTokensFile(options.stateDir)],
    ...['--lateness', options.lateness, '--proof-policy', options.proofPolicy],
    ...['--wasi', options.wasi ?? 'none'],
    ...['--attestations', options.attestations, '--partitions', String(partitions)],
    ...(options.ingest === undefined ? [] : ingestFlags(options.stateDir, options.ingest)),
    ...(options.flags ?? []),
  ];
}

/** The gateway has a connection of its own, whose user may publish points and nothing else. */
function ingestFlags(stateDir: string, ingest: IngestOptions): string[] {
  return [
    ...['--ingest-http', `${host}:${ingest.httpPort}`],
    ...['--ingest-grpc', `${host}:${ingest.grpcPort}`],
    ...['--ingest-tokens', ingest.tokensFile],
    ...['--ingest-nats-user', 'producer'],
    ...['--ingest-nats-password-file', passwordFile(stateDir, 'producer')],
  ];
}
