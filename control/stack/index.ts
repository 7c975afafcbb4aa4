/**
 * The typed launcher of the development stack: Temporal's development server, nats-server, the
 * aggregator and the control plane, on loopback, with their state in one directory.
 *
 *     const stack = await startStack({ stateDir, ports: freePorts });
 *     ...
 *     await stack.stop();
 */
export { type AggregatorOptions, startAggregator } from './aggregator.ts';
export { type ControlPlaneOptions, startControlPlane } from './control-plane.ts';
export { StackError } from './errors.ts';
export {
  type Executables,
  findExecutable,
  findExecutables,
  repositoryRoot,
} from './executables.ts';
export { ensureKeys, type KeyFiles, passwordFile } from './keys.ts';
export { connectNats } from './nats/connect.ts';
export { inboxPrefix, type NatsUser, natsUsers } from './nats/permissions.ts';
export { provision } from './nats/provision.ts';
export { type NatsOptions, natsUrl, startNats } from './nats/server.ts';
export { eventKinds, partitions } from './nats/topology.ts';
export {
  attestationsDirectory,
  type ServiceName,
  type StackOptions,
  serviceNames,
} from './options.ts';
export { claimPort, freePorts, host, type Ports } from './ports.ts';
export type { Exit, Service } from './service.ts';
export {
  type Addresses,
  type RestartOptions,
  type Secrets,
  type Stack,
  startStack,
  type UnexpectedExit,
} from './stack.ts';
export { startTemporal, type TemporalOptions } from './temporal.ts';
export { readTemporalConfig, type TemporalConfig } from './temporal-config.ts';
