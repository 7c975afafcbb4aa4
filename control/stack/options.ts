import { join, resolve } from 'node:path';
import type { WasiPolicy } from '../config.ts';
import type { ProofPolicy } from './aggregator.ts';
import { StackError } from './errors.ts';
import { type Executables, findExecutable, repositoryRoot } from './executables.ts';
import { defaultPorts, type PortName, type Ports, portsFromEnvironment } from './ports.ts';
import { readTemporalConfig, type TemporalConfig } from './temporal-config.ts';

/** In the order in which they start. */
export const serviceNames = ['temporal', 'nats', 'aggregator', 'control'] as const;
export type ServiceName = (typeof serviceNames)[number];

export interface StackOptions {
  /** State that survives: default RATCHET_STATE, else `.ratchet`. */
  readonly stateDir: string;
  /** Which servers run; default all four. */
  readonly services: readonly ServiceName[];
  /** 0 = any free port; `freePorts` for tests. */
  readonly ports: Ports;
  readonly temporal: TemporalConfig;
  readonly executables: Executables;
  readonly lateness: string;
  readonly proofPolicy: ProofPolicy;
  /** Whether tenants may bring modules: default RATCHET_WASI, else they may not. */
  readonly wasi: WasiPolicy;
  /** Directory of attestations: default RATCHET_ATTESTATIONS, else this repository's. */
  readonly attestations: string;
  /** Laid over the environment of the control plane. */
  readonly controlEnvironment: NodeJS.ProcessEnv;
  /** Progress, one line each. */
  readonly log: (line: string) => void;
  /** Gives up the start of servers; those that run go on until they are stopped. */
  readonly signal: AbortSignal;
}

export const portsOf: Readonly<Record<ServiceName, readonly PortName[]>> = {
  temporal: ['temporal', 'temporalUi', 'temporalMetrics'],
  nats: ['nats', 'natsMonitor'],
  aggregator: ['aggregator', 'ingestHttp', 'ingestGrpc', 'query'],
  control: ['api'],
};

const needs: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  temporal: [],
  nats: [],
  aggregator: ['nats'],
  control: ['temporal', 'nats'],
};

/** Fills in what `npm start` uses. */
export function completeOptions(given: Partial<StackOptions>): StackOptions {
  const temporal = given.temporal ?? readTemporalConfig(join(repositoryRoot, 'temporal-dev.yaml'));
  const services = serviceNames.filter((name) => (given.services ?? serviceNames).includes(name));
  checkNeeds(services);
  const { RATCHET_STATE: state } = process.env;
  return {
    stateDir: resolve(given.stateDir ?? (state === undefined || state === '' ? '.ratchet' : state)),
    services,
    ports: given.ports ?? configuredPorts(temporal),
    temporal,
    executables: given.executables ?? neededExecutables(services),
    lateness: given.lateness ?? '30s',
    proofPolicy: given.proofPolicy ?? 'attested',
    wasi: given.wasi ?? configuredWasi(process.env.RATCHET_WASI || 'none'),
    attestations: resolve(given.attestations ?? attestationsDirectory()),
    controlEnvironment: given.controlEnvironment ?? {},
    log: given.log ?? (() => undefined),
    signal: given.signal ?? new AbortController().signal,
  };
}

/** One directory for builder and validator: on one machine there is nobody else to trust. */
export function attestationsDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.RATCHET_ATTESTATIONS || join(repositoryRoot, 'proofs', 'attestations');
}

function configuredWasi(text: string): WasiPolicy {
  if (text === 'none' || text === 'empty') return text;
  throw new StackError(`RATCHET_WASI: ${JSON.stringify(text)} is neither none nor empty`);
}

function configuredPorts(temporal: TemporalConfig): Ports {
  const configured: Ports = {
    ...defaultPorts,
    temporal: temporal.ports.server,
    temporalUi: temporal.ports.ui,
    temporalMetrics: temporal.ports.metrics,
  };
  return portsFromEnvironment(configured, process.env);
}

function checkNeeds(services: readonly ServiceName[]): void {
  for (const name of services) {
    const missing = needs[name].filter((need) => !services.includes(need));
    if (missing.length > 0) throw new StackError(`${name} needs ${missing.join(' and ')}`);
  }
}

/** A stack of NATS alone needs no aggregator to have been built. */
function neededExecutables(services: readonly ServiceName[]): Executables {
  const when = (name: keyof Executables, users: readonly ServiceName[]) =>
    services.some((service) => users.includes(service)) ? findExecutable(name) : '';
  return {
    temporal: when('temporal', ['temporal']),
    nats: when('nats', ['nats']),
    aggregator: when('aggregator', ['aggregator', 'control']),
    kit: when('kit', ['control']),
  };
}
