/**
 * The Temporal runtime of this process: its log goes where the process's log goes, signals are not
 * its affair.
 */
import { DefaultLogger, type LogEntry, type LogLevel, Runtime } from '@temporalio/worker';

const levels: Record<string, LogLevel> = {
  trace: 'TRACE',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
  fatal: 'ERROR',
  silent: 'ERROR',
};

let installed = false;

/** Once a process; later calls change nothing. */
export function installRuntime(level: string): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger(levels[level] ?? 'INFO', writeEntry),
    // The process drains all its parts on a signal; the SDK must not do so by itself.
    shutdownSignals: [],
  });
}

function writeEntry({ level, timestampNanos, message, meta }: LogEntry): void {
  const time = Number(timestampNanos / 1_000_000n);
  const { error, ...rest } = meta ?? {};
  const err = error instanceof Error ? { message: error.message, stack: error.stack } : error;
  const entry = { level: level.toLowerCase(), time, name: 'temporal', msg: message, ...rest, err };
  process.stderr.write(`${JSON.stringify(entry)}\n`);
}
