/**
 * The host's end of an interpreter: starts its process, runs cells in it, answers its calls, and
 * kills it when it takes too long or says too much. What a program does wrong is the result of its
 * cell.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ExplorationLimits } from '../settings.ts';

export interface CellResult {
  ok: boolean;
  output: string;
  /** The process ended with the cell: its variables are lost. */
  lost: boolean;
}

/** Answers a program's call; what it throws is thrown in the program. */
export type HostCall = (name: string, args: unknown[]) => Promise<unknown>;

type Limits = Pick<ExplorationLimits, 'cellSeconds' | 'totalSeconds' | 'memoryMib' | 'outputChars'>;

const PROGRAM = fileURLToPath(new URL('./interpreter.mjs', import.meta.url));
const MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));
/** Longer lines than any honest answer end the process. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;
/** The interpreter stops itself at its limit; the process is killed when it does not. */
const GRACE_MS = 2_000;
const STARTUP_MS = 15_000;
/** V8's own heap, beside the interpreter's memory: a few copies of a line at most. */
const NODE_HEAP_MIB = 64;

/** No core file, no file written, and a bound on processor time if this process is killed. */
const LIMITED = 'ulimit -c 0; ulimit -f 0; ulimit -t "$1"; shift; exec "$@"';

interface Waiting {
  line(text: string): void;
  end(reason: string): void;
}

export class Interpreter {
  readonly #limits: Limits;
  readonly #host: HostCall;
  #child: ChildProcess | null = null;
  #waiting: Waiting | null = null;
  #buffer = '';
  #usedMs = 0;

  constructor(limits: Limits, host: HostCall) {
    this.#limits = limits;
    this.#host = host;
  }

  /** Runs a cell; one at a time. */
  async run(code: string): Promise<CellResult> {
    const { totalSeconds, cellSeconds, outputChars } = this.#limits;
    if (this.#usedMs > totalSeconds * 1_000) {
      return lost(`the ${totalSeconds} s of all cells are used up`);
    }
    const first = this.#child === null;
    const child = this.#child ?? this.#start();
    let allowed = cellSeconds * 1_000 + GRACE_MS + (first ? STARTUP_MS : 0);
    this.#send(child, { code });
    for (;;) {
      const began = performance.now();
      const line = await this.#next(child, allowed);
      const took = performance.now() - began;
      allowed -= took;
      this.#usedMs += took;
      if ('ended' in line) return lost(line.ended);
      const message = parse(line.text);
      if (message === null) return this.#kill('the interpreter sent no JSON');
      if ('done' in message) {
        const output = cut(String(message.output ?? ''), outputChars);
        return { ok: message.ok === true, output, lost: false };
      }
      this.#send(child, await this.#answer(message));
    }
  }

  close(): void {
    this.#kill('closed');
  }

  async #answer({ call, args }: Record<string, unknown>): Promise<unknown> {
    try {
      if (typeof call !== 'string' || !Array.isArray(args)) throw new Error('not a call');
      return { ok: (await this.#host(call, args)) ?? null };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      return { error: error.message };
    }
  }

  #next(child: ChildProcess, milliseconds: number): Promise<{ text: string } | { ended: string }> {
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          this.#kill(`stopped after ${this.#limits.cellSeconds} s`);
        },
        Math.max(0, milliseconds),
      );
      const settle = (answer: { text: string } | { ended: string }) => {
        clearTimeout(timer);
        this.#waiting = null;
        resolve(answer);
      };
      this.#waiting = {
        line: (text) => settle({ text }),
        end: (ended) => settle({ ended }),
      };
      if (child.exitCode !== null || child.signalCode !== null) this.#ended(child, 'ended');
      else this.#deliver();
    });
  }

  #start(): ChildProcess {
    const { memoryMib, cellSeconds, totalSeconds, outputChars } = this.#limits;
    const seconds = totalSeconds + cellSeconds + STARTUP_MS / 1_000;
    const numbers = [memoryMib, cellSeconds * 1_000, outputChars].map(String);
    const child = spawn(
      '/bin/sh',
      [
        ...['-c', LIMITED, 'interpreter', String(Math.ceil(seconds)), process.execPath],
        ...[...permissions(), `--max-old-space-size=${NODE_HEAP_MIB}`, PROGRAM, ...numbers],
      ],
      { cwd: tmpdir(), env: {}, detached: true, stdio: ['pipe', 'pipe', 'ignore'] },
    );
    this.#child = child;
    this.#buffer = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      this.#buffer += text;
      if (this.#buffer.length > LINE_BYTES_MAX) this.#kill('the interpreter said too much');
      else this.#deliver();
    });
    // A process that is gone cannot be written to; its end is told by `close`.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.#ended(child, error.message));
    child.on('close', (code, signal) => this.#ended(child, `ended (${signal ?? code})`));
    return child;
  }

  #send(child: ChildProcess, message: unknown): void {
    child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  #deliver(): void {
    const end = this.#buffer.indexOf('\n');
    if (end === -1 || this.#waiting === null) return;
    const text = this.#buffer.slice(0, end);
    this.#buffer = this.#buffer.slice(end + 1);
    this.#waiting.line(text);
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child === child) this.#child = null;
    this.#waiting?.end(`the interpreter ${reason}`);
  }

  #kill(reason: string): CellResult {
    const child = this.#child;
    this.#child = null;
    if (child?.pid !== undefined) {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    this.#waiting?.end(reason);
    return lost(reason);
  }
}

/** What a host function refuses: the program may catch it. */
export class HostError extends Error {
  override readonly name = 'HostError';
}

function lost(reason: string): CellResult {
  const output = `${reason}; the interpreter begins anew, its variables are lost`;
  return { ok: false, output, lost: true };
}

/** Node's own permissions, where it has them: files of the interpreter only, no processes. */
function permissions(): string[] {
  const known = process.allowedNodeEnvironmentFlags;
  const flag = ['--permission', '--experimental-permission'].find((each) => known.has(each));
  if (flag === undefined) return [];
  return [flag, `--allow-fs-read=${PROGRAM}`, `--allow-fs-read=${MODULES}*`];
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null ? { ...message } : null;
  } catch {
    return null;
  }
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}\n[output cut]`;
}
