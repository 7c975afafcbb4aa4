import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

const outputLimit = 32 * 1024 * 1024;
const graceMs = 5_000;
const groups = new Set();

process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL');
});

/**
 * Runs a command in a process group of its own, killed as a whole at its time limit.
 * Resolves with {code, signal, timedOut, output, stdout, stderr}, where output is both streams as
 * they came; rejects only when it cannot be started.
 *   onLine   called with every line of standard output and standard error
 *   signal   an AbortSignal that ends the group; whoever gave it knows that it did
 *   inherit  the command writes to our own standard error instead
 */
export function run(command, args, options = {}) {
  const { cwd, env = process.env, timeoutMs = 60_000, onLine, inherit = false } = options;
  const stop = options.signal;
  const child = spawn(command, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', inherit ? 2 : 'pipe', inherit ? 2 : 'pipe'],
  });
  return new Promise((resolve, reject) => {
    let output = '';
    const streams = { stdout: '', stderr: '' };
    let timedOut = false;
    let timer;
    const abort = () => endGroup(child.pid);
    const collect = (name) => (text) => {
      if (output.length < outputLimit) output += text;
      if (streams[name].length < outputLimit) streams[name] += text;
    };
    child.once('error', reject);
    child.once('spawn', () => {
      groups.add(child.pid);
      timer = setTimeout(() => {
        timedOut = true;
        endGroup(child.pid);
      }, timeoutMs);
      if (stop?.aborted) abort();
      else stop?.addEventListener('abort', abort, { once: true });
    });
    for (const name of ['stdout', 'stderr']) {
      if (child[name] !== null) readLines(child[name], collect(name), onLine);
    }
    // The leader's end is the group's end: a left-over child must not hold the pipes open.
    child.once('exit', () => signalGroup(child.pid, 'SIGKILL'));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', abort);
      groups.delete(child.pid);
      resolve({ code, signal, timedOut, output, ...streams });
    });
  });
}

/** Like `run`, but anything else than success is an error that shows the end of the output. */
export async function runOrFail(what, command, args, options = {}) {
  let result;
  try {
    result = await run(command, args, options);
  } catch (cause) {
    throw new Error(`${what}: cannot run ${command}: ${cause.message}`, { cause });
  }
  if (result.code === 0) return result;
  const seconds = Math.round((options.timeoutMs ?? 60_000) / 1_000);
  const why = result.timedOut ? `took longer than ${seconds} s` : describeEnd(result);
  throw new Error(`${what} failed (${why}): ${command} ${args.join(' ')}\n${lastLines(result)}`);
}

/** The output of a short command, or null when it cannot be run or fails. */
export async function outputOf(command, args, options = {}) {
  try {
    const result = await run(command, args, { timeoutMs: 20_000, ...options });
    return result.code === 0 ? result.output.trim() : null;
  } catch {
    return null;
  }
}

/** Ends every group that still runs; for signal handlers. */
export function endAll() {
  for (const pid of groups) endGroup(pid);
}

export function describeEnd({ code, signal, timedOut }) {
  if (timedOut) return 'over its time limit';
  return signal === null ? `exit status ${code}` : `signal ${signal}`;
}

export function lastLines({ output }, count = 40) {
  return output.trimEnd().split('\n').slice(-count).join('\n');
}

function endGroup(pid) {
  signalGroup(pid, 'SIGTERM');
  setTimeout(() => {
    if (groups.has(pid)) signalGroup(pid, 'SIGKILL');
  }, graceMs).unref();
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error;
  }
}

function readLines(stream, collect, onLine) {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  stream.on('data', (chunk) => {
    const text = decoder.write(chunk);
    collect(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    if (onLine) for (const line of lines) onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '' && onLine) onLine(rest);
  });
}
