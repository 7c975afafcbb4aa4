import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAggregator } from './aggregator.ts';
import { apiTokensFile, startControlPlane } from './control-plane.ts';
import { StackError } from './errors.ts';
import { ensureKeys, type KeyFiles, passwordFile } from './keys.ts';
import { lockState, type StateLock } from './lock.ts';
import type { NatsUser } from './nats/permissions.ts';
import { natsPasswords, natsUrl, startNats } from './nats/server.ts';
import { completeOptions, portsOf, type ServiceName, type StackOptions } from './options.ts';
import { claimPorts, host, type PortName, type Ports } from './ports.ts';
import { describeExit, type Exit, type Service } from './service.ts';
import { startTemporal } from './temporal.ts';

/** Each is known once its server runs; asking for another one's is an error. */
export interface Addresses {
  /** `host:port` of the Temporal front end. */
  readonly temporal: string;
  readonly temporalUi: string;
  readonly temporalMetrics: string;
  /** `nats://host:port`. */
  readonly nats: string;
  readonly natsMonitor: string;
  /** Base URL of /healthz and /metrics. */
  readonly aggregator: string;
  /** Base URL of OTLP/HTTP, remote write and native messages. */
  readonly ingest: string;
  /** `host:port` of OTLP/gRPC. */
  readonly ingestGrpc: string;
  /** Base URL of queries of the latest windows. */
  readonly query: string;
  readonly api: string;
}

export interface Secrets {
  readonly keys: KeyFiles;
  readonly apiTokensFile: string;
  passwordFile(user: NatsUser): string;
  password(user: NatsUser): string;
}

export interface UnexpectedExit {
  readonly service: ServiceName;
  readonly exit: Exit;
  /** One line for people, and the end of the log. */
  readonly message: string;
}

export interface RestartOptions {
  /** SIGTERM unless told; SIGKILL for a crash. */
  readonly signal?: NodeJS.Signals;
  /** How long the server stays away. */
  readonly downMs?: number;
}

export interface Stack {
  readonly stateDir: string;
  readonly temporalNamespace: string;
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  service(name: ServiceName): Service;
  /** Stops a server on purpose and starts it again on the same ports. */
  restart(name: ServiceName, options?: RestartOptions): Promise<void>;
  /** Stops a server on purpose, without starting it again. */
  halt(name: ServiceName, signal?: NodeJS.Signals): Promise<void>;
  /** Called once, if a server ends by itself; the whole stack then stops. */
  onExit(listener: (exit: UnexpectedExit) => void): void;
  /** Resolves when everything has stopped: null after a stop that was asked for. */
  readonly ended: Promise<UnexpectedExit | null>;
  /** Stops all servers, last one first. */
  stop(): Promise<void>;
}

/** Starts the servers one after another, each healthy before the next; all or none. */
export async function startStack(given: Partial<StackOptions> = {}): Promise<Stack> {
  const options = completeOptions(given);
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const lock = await lockState(options.stateDir, options.log);
  const stack = new RunningStack(options, lock);
  try {
    await stack.start();
    return stack;
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

class RunningStack implements Stack {
  readonly stateDir: string;
  readonly temporalNamespace: string;
  readonly secrets: Secrets;
  readonly ended: Promise<UnexpectedExit | null>;
  readonly #options: StackOptions;
  readonly #lock: StateLock;
  readonly #running = new Map<ServiceName, Service>();
  readonly #listeners: ((exit: UnexpectedExit) => void)[] = [];
  #end: (exit: UnexpectedExit | null) => void = () => undefined;
  #ports: Ports;
  #failure: UnexpectedExit | null = null;
  #stopped: Promise<void> | undefined;

  constructor(options: StackOptions, lock: StateLock) {
    this.#options = options;
    this.#lock = lock;
    this.#ports = options.ports;
    this.stateDir = options.stateDir;
    this.temporalNamespace = options.temporal.namespace;
    this.secrets = secretsOf(options.stateDir);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get addresses(): Addresses {
    const port = (name: PortName) => this.#portOf(name);
    const url = (name: PortName) => `http://${host}:${port(name)}`;
    return {
      get temporal() {
        return `${host}:${port('temporal')}`;
      },
      get temporalUi() {
        return url('temporalUi');
      },
      get temporalMetrics() {
        return `${url('temporalMetrics')}/metrics`;
      },
      get nats() {
        return natsUrl({ nats: port('nats') });
      },
      get natsMonitor() {
        return url('natsMonitor');
      },
      get aggregator() {
        return url('aggregator');
      },
      get ingest() {
        return url('ingestHttp');
      },
      get ingestGrpc() {
        return `${host}:${port('ingestGrpc')}`;
      },
      get query() {
        return url('query');
      },
      get api() {
        return url('api');
      },
    };
  }

  service(name: ServiceName): Service {
    const service = this.#running.get(name);
    if (service === undefined) throw new StackError(`${name} does not run in this stack`);
    return service;
  }

  async start(): Promise<void> {
    const { services, ports } = this.#options;
    const configured = services.flatMap((name) => portsOf[name]).filter((name) => ports[name] > 0);
    await claimPorts(ports, configured);
    for (const name of services) {
      const begun = performance.now();
      // Free ports are claimed right before they are used: others draw from the same range.
      this.#ports = await claimPorts(this.#ports, portsOf[name]);
      await this.#startOne(name);
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      this.#options.log(`${name} is healthy (${seconds} s)`);
      if (this.#failure !== null) throw new StackError(this.#failure.message);
    }
  }

  async restart(name: ServiceName, options: RestartOptions = {}): Promise<void> {
    await this.halt(name, options.signal);
    await sleep(options.downMs ?? 0);
    await this.#startOne(name);
  }

  async halt(name: ServiceName, signal?: NodeJS.Signals): Promise<void> {
    const service = this.service(name);
    await service.stop(signal);
    this.#forget(name, service);
  }

  onExit(listener: (exit: UnexpectedExit) => void): void {
    this.#listeners.push(listener);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    for (const [name, service] of [...this.#running].reverse()) {
      await service.stop();
      this.#forget(name, service);
      this.#options.log(`${name} stopped`);
    }
    this.#lock.release();
    this.#end(this.#failure);
  }

  async #startOne(name: ServiceName): Promise<void> {
    if (this.#stopped !== undefined) throw new StackError(`${name}: the stack is stopping`);
    const service = await this.#launch(name, (pid) => this.#lock.add(name, pid));
    if (this.#stopped !== undefined) {
      await service.stop();
      throw new StackError(`${name}: the stack was stopped meanwhile`);
    }
    this.#running.set(name, service);
    service.exited.then((exit) => this.#onServiceExit(name, service, exit));
  }

  #onServiceExit(name: ServiceName, service: Service, exit: Exit): void {
    if (service.stopping || this.#failure !== null) return;
    const message =
      `${name} (process ${service.pid}) ended unexpectedly: ${describeExit(exit)}; ` +
      `the end of ${service.logFile}:\n${service.logTail()}`;
    this.#failure = { service: name, exit, message };
    this.#forget(name, service);
    this.#options.log(message);
    for (const listener of this.#listeners) listener(this.#failure);
    void this.stop();
  }

  #forget(name: ServiceName, service: Service): void {
    if (this.#running.get(name) === service) this.#running.delete(name);
    this.#lock.remove(name);
  }

  #portOf(name: PortName): number {
    const port = this.#ports[name];
    if (port === 0) throw new StackError(`the server of port "${name}" was not started`);
    return port;
  }

  #launch(name: ServiceName, onSpawn: (pid: number) => void): Promise<Service> {
    const { stateDir, executables, temporal, lateness, signal } = this.#options;
    const shared = { stateDir, onSpawn, signal };
    const ports = this.#ports;
    if (name === 'temporal') {
      const executable = executables.temporal;
      return startTemporal({ ...shared, executable, config: temporal, ports });
    }
    if (name === 'nats') return startNats({ ...shared, executable: executables.nats, ports });
    const { proofPolicy, wasi, attestations } = this.#options;
    const proof = { proofPolicy, wasi, attestations };
    const linked = { ...shared, ...proof, keys: this.secrets.keys, natsUrl: natsUrl(ports) };
    if (name === 'aggregator') {
      const executable = executables.aggregator;
      const { ingestHttp: httpPort, ingestGrpc: grpcPort, aggregator: port, query } = ports;
      const ingest = { httpPort, grpcPort, tokensFile: this.secrets.apiTokensFile };
      return startAggregator({ ...linked, executable, port, queryPort: query, lateness, ingest });
    }
    return startControlPlane({
      ...linked,
      executables,
      temporalAddress: `${host}:${ports.temporal}`,
      temporalNamespace: temporal.namespace,
      port: ports.api,
      environment: this.#options.controlEnvironment,
    });
  }
}

function secretsOf(stateDir: string): Secrets {
  const keys = ensureKeys(stateDir);
  natsPasswords(stateDir);
  return {
    keys,
    apiTokensFile: apiTokensFile(stateDir),
    passwordFile: (user) => passwordFile(stateDir, user),
    password: (user) => readFileSync(passwordFile(stateDir, user), 'utf8').trim(),
  };
}
