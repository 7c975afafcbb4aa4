import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../within.ts';
import { hasCode, messageOf, StackError } from './errors.ts';
import { logSize, openLog, tail } from './logs.ts';

/** What whoever launches a server may want besides. */
export interface Launch {
  /** Told the process as soon as it runs (before it is healthy). */
  readonly onSpawn?: ((pid: number) => void) | undefined;
  /** Gives up a server that is not healthy yet; one that is goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface ServiceOptions extends Launch {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logFile: string;
  /** One health probe: resolves when the service is healthy, rejects otherwise. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  readonly readyWithinMs: number;
  readonly graceMs: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running server process in a process group of its own. */
export interface Service {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the process is gone, whatever the reason. */
  readonly exited: Promise<Exit>;
  /** True once a stop was asked for: an exit is then no surprise. */
  readonly stopping: boolean;
  /** The last lines that this run logged. */
  logTail(lines?: number): string;
  /** Sends a signal (SIGTERM unless told), then SIGKILL after the grace time. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

const probeEveryMs = 100;
const probeTimeoutMs = 2_000;
const groups = new Set<number>();

// A launcher that ends without a stop does not leave its servers behind.
process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGTERM');
});

/** Spawns a server and waits until it is healthy; if it is not in time, it is stopped again. */
export async function startService(options: ServiceOptions): Promise<Service> {
  options.signal?.throwIfAborted();
  const since = logSize(options.logFile);
  const child = await spawnLogged(options);
  const pid = child.pid;
  if (pid === undefined) throw new StackError(`${options.name}: no process`);
  groups.add(pid);
  options.onSpawn?.(pid);
  const service = serviceOf(options, child, pid, since);
  try {
    await untilHealthy(options, service);
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

/** Only what a server needs: no token of the caller's environment reaches it. */
export function serverEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'RUST_LOG', 'RUST_BACKTRACE'];
  return Object.fromEntries(
    kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
}

function spawnLogged(options: ServiceOptions): Promise<ChildProcess> {
  const log = openLog(options.logFile);
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child));
    child.once('error', (cause) => {
      const why = messageOf(cause);
      reject(new StackError(`${options.name}: cannot run ${options.command}: ${why}`, { cause }));
    });
  });
}

function serviceOf(
  options: ServiceOptions,
  child: ChildProcess,
  pid: number,
  since: number,
): Service {
  let stopping = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      // Nothing of the group outlives its leader.
      signalGroup(pid, 'SIGKILL');
      groups.delete(pid);
      resolve({ code, signal });
    });
  });
  // A log that was rotated when it was opened starts again at its beginning.
  const start = () => (logSize(options.logFile) < since ? 0 : since);
  return {
    name: options.name,
    pid,
    logFile: options.logFile,
    exited,
    get stopping() {
      return stopping;
    },
    logTail: (lines = 20) => tail(options.logFile, lines, start()),
    async stop(signal = 'SIGTERM') {
      stopping = true;
      if (groups.has(pid)) signalGroup(pid, signal);
      const done = new AbortController();
      const killed = sleep(options.graceMs, null, { signal: done.signal }).then(
        () => signalGroup(pid, 'SIGKILL'),
        () => undefined,
      );
      const exit = await exited;
      done.abort();
      await killed;
      return exit;
    },
  };
}

async function untilHealthy(options: ServiceOptions, service: Service): Promise<void> {
  const deadline = performance.now() + options.readyWithinMs;
  let last = 'no answer yet';
  let exit: Exit | undefined;
  service.exited.then((value) => {
    exit = value;
  });
  while (performance.now() < deadline) {
    if (exit !== undefined) throw startFailure(service, `ended at once (${describeExit(exit)})`);
    try {
      await within(probeTimeoutMs, options.probe, options.signal);
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      last = messageOf(error);
    }
    await Promise.race([sleep(probeEveryMs), service.exited]);
  }
  const seconds = options.readyWithinMs / 1_000;
  throw startFailure(service, `was not healthy within ${seconds} s (${last})`);
}

function startFailure(service: Service, what: string): StackError {
  const log = service.logTail();
  const shown = log === '' ? 'its log is empty' : `the end of its log:\n${log}`;
  return new StackError(`${service.name} ${what}; ${service.logFile}; ${shown}`);
}

export function describeExit(exit: Exit): string {
  return exit.signal === null ? `exit status ${exit.code}` : `signal ${exit.signal}`;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // EPERM: on macOS, a group of which only zombies are left.
    if (!hasCode(error, 'ESRCH') && !hasCode(error, 'EPERM')) throw error;
  }
}

/** A probe that expects status 200 from an address. */
export function httpProbe(url: string): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const response = await fetch(url, { signal });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  };
}
