import { join } from 'node:path';
import type { WasiPolicy } from '../config.ts';
import type { ProofPolicy } from './aggregator.ts';
import { type Executables, repositoryRoot } from './executables.ts';
import { type KeyFiles, passwordFile } from './keys.ts';
import { host } from './ports.ts';
import { httpProbe, type Launch, type Service, startService } from './service.ts';

export interface ControlPlaneOptions extends Launch {
  readonly executables: Pick<Executables, 'aggregator' | 'kit'>;
  readonly stateDir: string;
  readonly keys: KeyFiles;
  readonly natsUrl: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** A claimed port, not 0. */
  readonly port: number;
  readonly proofPolicy: ProofPolicy;
  /** Whether tenants may bring modules; absent: they may not. */
  readonly wasi?: WasiPolicy;
  /** Directory of attestations. */
  readonly attestations: string;
  /** Laid over the caller's environment. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Names the process and its log, where several run. */
  readonly name?: string;
}

export function apiTokensFile(stateDir: string): string {
  return join(stateDir, 'api-tokens.json');
}

export function startControlPlane(options: ControlPlaneOptions): Promise<Service> {
  const name = options.name ?? 'control';
  return startService({
    name,
    command: process.execPath,
    args: ['--import', 'tsx', join('control', 'main.ts')],
    env: controlEnvironment(options),
    cwd: repositoryRoot,
    logFile: join(options.stateDir, 'logs', `${name}.log`),
    probe: httpProbe(`http://${host}:${options.port}/healthz`),
    readyWithinMs: 120_000,
    graceMs: 20_000,
    onSpawn: options.onSpawn,
    signal: options.signal,
  });
}

/** What control/config.ts reads; the rest of the caller's environment stays (proxies, PATH). */
export function controlEnvironment(options: ControlPlaneOptions): NodeJS.ProcessEnv {
  return {
    ...process.env,
    RATCHET_STATE: options.stateDir,
    RATCHET_KIT: options.executables.kit,
    RATCHET_AGGREGATOR: options.executables.aggregator,
    RATCHET_API_ADDRESS: `${host}:${options.port}`,
    RATCHET_API_TOKENS: apiTokensFile(options.stateDir),
    RATCHET_BUILDER_KEY: options.keys.builder,
    RATCHET_TRUST: options.keys.trust,
    RATCHET_PROOF_POLICY: options.proofPolicy,
    RATCHET_WASI: options.wasi ?? 'none',
    RATCHET_ATTESTATIONS: options.attestations,
    TEMPORAL_ADDRESS: options.temporalAddress,
    TEMPORAL_NAMESPACE: options.temporalNamespace,
    NATS_URL: options.natsUrl,
    NATS_USER: 'control',
    NATS_PASSWORD_FILE: passwordFile(options.stateDir, 'control'),
    ...options.environment,
  };
}
