/**
 * What every bench does alike: its options, its help, its last line, its exit status. A bench is a
 * file right below `bench/` that runs one `Command`.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './values.ts';

export { choices, directory, integer, UsageError } from './values.ts';

type Flags = NonNullable<ParseArgsConfig['options']>;
type Parsed<F extends Flags> = ReturnType<typeof parseArgs<{ options: F }>>['values'];

/** Values of the last line; a bench's help says what each is. */
export type Metrics = Readonly<Record<string, number | boolean>>;

export interface Outcome {
  metrics: Metrics;
  /** What was measured breaks a promise: told by the exit status. */
  failed?: boolean;
}

export interface Command<F extends Flags, Options> {
  name: string;
  help: string;
  /** Beside `--json` and `--help`, which all have. */
  flags: F;
  /** Throws a `UsageError` that names a bad value. */
  options(values: Parsed<F>): Options;
  /**
   * Prints to standard error alone. Once the signal is aborted, which Ctrl-C does, it stops what it
   * started, and rejects.
   */
  measure(options: Options, signal: AbortSignal): Promise<Outcome>;
}

const SUCCESS = 0;
const FAILURE = 1;
const USAGE = 2;
const INTERRUPTED = 130;

/** Ctrl-C, a plain `kill`, and the terminal that goes away. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const COMMON = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Runs a bench with the arguments of this process, and sets its exit status. */
export async function runBench<F extends Flags, Options>(
  command: Command<F, Options>,
): Promise<void> {
  const interrupt = new AbortController();
  const stop = () => interrupt.abort();
  // More than once: what is sent to a whole group comes again from the launcher, which passes
  // signals on, and must not end a bench that is stopping its servers.
  for (const signal of SIGNALS) process.on(signal, stop);
  const print = (text: string) => process.stdout.write(text);
  const warn = (text: string) => process.stderr.write(text);
  const args = process.argv.slice(2);
  process.exitCode = await run(command, args, { print, warn, signal: interrupt.signal });
  for (const signal of SIGNALS) process.off(signal, stop);
}

export interface Terminal {
  print(text: string): void;
  warn(text: string): void;
  signal: AbortSignal;
}

/** The exit status: 0, or 1 on failure, 2 on wrong usage, 130 when interrupted. */
export async function run<F extends Flags, Options>(
  command: Command<F, Options>,
  args: string[],
  { print, warn, signal }: Terminal,
): Promise<number> {
  const { name } = command;
  try {
    const { json, help, options } = read(command, args);
    if (help) {
      print(command.help);
      return SUCCESS;
    }
    const { metrics, failed = false } = await command.measure(options(), signal);
    if (json) print(`${JSON.stringify({ bench: name, metrics })}\n`);
    return failed ? FAILURE : SUCCESS;
  } catch (error) {
    if (signal.aborted) {
      warn(`bench ${name}: interrupted\n`);
      return INTERRUPTED;
    }
    const usage = error instanceof UsageError;
    const told = error instanceof Error ? (usage ? error.message : error.stack) : error;
    warn(`bench ${name}: ${told}\n`);
    return usage ? USAGE : FAILURE;
  }
}

function read<F extends Flags, Options>(command: Command<F, Options>, args: string[]) {
  const values = parse({ ...command.flags, ...COMMON }, args);
  const { json, help } = values as { json: boolean; help: boolean };
  return { json, help, options: () => command.options(values as Parsed<F>) };
}

function parse(options: Flags, args: string[]) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
