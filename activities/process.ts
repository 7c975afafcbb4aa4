/**
 * Runs one child process with limits: time, processor time, address space, file size and output.
 * The child leads a process group of its own, and the whole group is killed when the time is up or
 * the caller gives up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';

export interface Limits {
  /** Wall-clock time. */
  milliseconds: number;
  /** Processor time; a child whose parent was killed ends by it. */
  processorSeconds: number;
  /** Address space of each process; null = no limit. */
  memoryBytes: number | null;
  /** Largest file that it may write. */
  fileBytes: number;
  /** Of each output stream, what is kept; the rest is read and dropped. */
  outputBytes: number;
}

export interface Command {
  command: string;
  args: readonly string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  environment: Readonly<Record<string, string>>;
  limits: Limits;
  signal?: AbortSignal | undefined;
}

export interface Finished {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  seconds: number;
  timedOut: boolean;
}

/** The program could not be started, or the caller gave up: neither is an answer of the program. */
export class ProcessFault extends Error {
  override readonly name = 'ProcessFault';
}

const KIB = 1024;

/** What the shell answers when it cannot become the program. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/**
 * A shell sets the limits and becomes the program. A system that does not know one of them (macOS:
 * address space) goes on without it; the wall clock always holds.
 */
const LIMITED = `
ulimit -c 0 2>/dev/null; ulimit -t "$1" 2>/dev/null
ulimit -v "$2" 2>/dev/null; ulimit -f "$3" 2>/dev/null
shift 3; exec "$@"`;

export async function runLimited(command: Command): Promise<Finished> {
  if (command.signal?.aborted) throw new ProcessFault(`${command.command}: cancelled`);
  const { limits } = command;
  const numbers = [
    Math.ceil(limits.processorSeconds),
    limits.memoryBytes === null ? 'unlimited' : Math.ceil(limits.memoryBytes / KIB),
    // POSIX counts file sizes in blocks of 512 bytes.
    Math.ceil(limits.fileBytes / 512),
  ].map(String);
  const child = spawn(
    '/bin/sh',
    ['-c', LIMITED, 'limited', ...numbers, command.command, ...command.args],
    {
      cwd: command.cwd,
      env: command.environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  return await finish(child, command);
}

function finish(child: ChildProcess, command: Command): Promise<Finished> {
  const started = performance.now();
  const stdout = collect(child.stdout, command.limits.outputBytes);
  const stderr = collect(child.stderr, command.limits.outputBytes);
  return new Promise((resolve, reject) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, command.limits.milliseconds);
    const cancel = () => killGroup(child);
    command.signal?.addEventListener('abort', cancel, { once: true });
    const end = () => {
      clearTimeout(timer);
      command.signal?.removeEventListener('abort', cancel);
    };
    child.once('error', (error) => {
      end();
      reject(new ProcessFault(`${command.command}: ${error.message}`, { cause: error }));
    });
    child.once('close', (code, signal) => {
      end();
      // What the program left behind in its group goes with it.
      killGroup(child);
      if (command.signal?.aborted) return reject(new ProcessFault(`${command.command}: cancelled`));
      if (code === NOT_FOUND || code === NOT_EXECUTABLE) {
        return reject(new ProcessFault(`${command.command}: ${stderr().trim().slice(-200)}`));
      }
      const seconds = (performance.now() - started) / 1_000;
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), seconds, timedOut });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Keeps the first `limit` bytes and reads on, so that the child never blocks on a full pipe. */
function collect(stream: NodeJS.ReadableStream | null, limit: number): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (size >= limit) return;
    const kept = chunk.subarray(0, limit - size);
    chunks.push(kept);
    size += kept.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
