import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { host, type Ports } from './ports.ts';
import { type Launch, type Service, serverEnvironment, startService } from './service.ts';
import { type TemporalConfig, temporalFlags } from './temporal-config.ts';

export interface TemporalOptions extends Launch {
  readonly executable: string;
  readonly config: TemporalConfig;
  readonly stateDir: string;
  /** Claimed ports, none of them 0. */
  readonly ports: Pick<Ports, 'temporal' | 'temporalUi' | 'temporalMetrics'>;
}

/** Starts the development server; healthy = the namespace and its search attributes exist. */
export function startTemporal(options: TemporalOptions): Promise<Service> {
  const { config, ports } = options;
  const directory = join(options.stateDir, 'temporal');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const flagPorts = {
    server: ports.temporal,
    ui: ports.temporalUi,
    metrics: ports.temporalMetrics,
  };
  return startService({
    name: 'temporal',
    command: options.executable,
    args: temporalFlags(config, flagPorts, join(directory, config.database)),
    env: serverEnvironment(),
    cwd: directory,
    logFile: join(options.stateDir, 'logs', 'temporal.log'),
    probe: () => probe(`${host}:${ports.temporal}`, config),
    readyWithinMs: config.readyWithinMs,
    graceMs: 15_000,
    onSpawn: options.onSpawn,
    signal: options.signal,
  });
}

async function probe(address: string, config: TemporalConfig): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: '1s' });
  try {
    const deadline = Date.now() + 1_500;
    await connection.withDeadline(deadline, async () => {
      const { namespace } = config;
      await connection.workflowService.describeNamespace({ namespace });
      const found = await connection.operatorService.listSearchAttributes({ namespace });
      const missing = Object.keys(config.searchAttributes).filter(
        (name) => found.customAttributes?.[name] === undefined,
      );
      if (missing.length > 0) throw new Error(`search attributes missing: ${missing.join(', ')}`);
    });
  } finally {
    await connection.close();
  }
}
