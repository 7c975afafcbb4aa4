/** The command line of `npm start`. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface StartOptions {
  /** Exit once every organization has had a promotion or has used its budget. */
  once: boolean;
  /** The last line of standard output is one JSON object. */
  json: boolean;
  /** Replays the same traffic; drawn at start when not given. */
  seed: number;
  /** Absolute directory of everything that survives a restart. */
  state: string;
  /** Gives up waiting with `--once` after this many minutes. */
  minutes: number;
}

export const HELP = `Usage: npm start -- [options]

Runs Ratchet on this machine: Temporal with its UI, NATS, one aggregator and one control plane, and
three organizations whose aggregation code evolves while their traffic flows.

Options:
  --once           exit when every organization has had a promotion or has used its budget
  --json           with --once: the last line of standard output is one JSON object
  --seed N         seed of the synthetic traffic, 0 to 4294967295 (drawn and printed by default)
  --state DIR      where state is kept (default: .ratchet, or RATCHET_STATE)
  --minutes N      with --once: fail after N minutes, 1 to 240 (default: 30)
  --help           this text

Ports are those of temporal-dev.yaml and can be changed by RATCHET_*_PORT variables (0: a free one).
Ctrl-C stops everything; the state stays and the next start goes on from it.

Exit status: 0 done, 1 a stage failed or a point was lost, 2 the command line is wrong,
130 interrupted before --once was done.
`;

export class UsageError extends Error {
  override name = 'UsageError';
}

export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  drawSeed: () => number,
): StartOptions | 'help' {
  const { values } = parse(args);
  if (values.help === true) return 'help';
  const options = {
    once: values.once ?? false,
    json: values.json ?? false,
    seed: integer('--seed', values.seed, 0, 2 ** 32 - 1) ?? drawSeed(),
    state: resolve(values.state ?? (env.RATCHET_STATE || '.ratchet')),
    minutes: integer('--minutes', values.minutes, 1, 240) ?? 30,
  };
  if (options.json && !options.once) throw new UsageError('--json needs --once');
  return options;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        once: { type: 'boolean' },
        json: { type: 'boolean' },
        seed: { type: 'string' },
        state: { type: 'string' },
        minutes: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new UsageError(`${name} takes a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}
