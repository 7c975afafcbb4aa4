/**
 * `npm run bench -- codec`: how fast the codec decodes inside a guest, side by side with the best
 * scalar StreamVByte crate and with a reader by hand that checks nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildContest, race } from './codec/contest.ts';
import { metricsOf, table } from './codec/report.ts';
import { seededRandom } from './workloads/random.ts';
import { generateMessage, workloadA } from './workloads/workloads.ts';

const help = `Usage: npm run bench -- codec [--json] [OPTIONS]

Decodes messages of workload A and StreamVByte runs in a guest, under the aggregator's production
settings, and natively. All decoders take turns in one process. Prints a table on standard error.

  --json        the last line of standard output is one JSON object with the metrics
  --rounds N    rounds of the contest, 3 to 10000; default 201
  --messages N  messages, 1 to 1000; default 64
  --seed N      of the messages; default 7
  --help        this text

Metrics: svb_vs_best_scalar_crate, how many times faster the codec decodes runs than the fastest
scalar crate, the lesser of that for the runs of the messages and for runs of mixed lengths; and
columns_vs_unverified_reader, the same for all columns of a message.
`;

const WORKLOAD_BEGINS = 1_700_000_000_000;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench codec: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args);
  if (options === null) {
    process.stdout.write(help);
    return 0;
  }
  const contest = await buildContest(process.env);
  const folder = mkdtempSync(join(tmpdir(), 'ratchet-bench-codec-'));
  try {
    const corpus = join(folder, 'messages.rtc');
    writeFileSync(corpus, corpusOf(options.messages, options.seed));
    const report = await race(contest, corpus, options.rounds);
    process.stderr.write(table(report));
    const result = { bench: 'codec', metrics: metricsOf(report) };
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return 0;
}

interface Options {
  json: boolean;
  rounds: number;
  messages: number;
  seed: number;
}

/** Null when help is wanted. */
function optionsOf(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '201' },
      messages: { type: 'string', default: '64' },
      seed: { type: 'string', default: '7' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  return {
    json: values.json,
    rounds: integer('--rounds', values.rounds, 3, 10_000),
    messages: integer('--messages', values.messages, 1, 1_000),
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
  };
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}

/** Messages of workload A: "RTC1", then of each its length and its bytes. */
function corpusOf(count: number, seed: number): Buffer {
  const workload = workloadA(seed);
  const random = seededRandom(seed);
  const parts = [Buffer.from('RTC1')];
  for (let i = 0; i < count; i++) {
    const { payload } = generateMessage(workload, WORKLOAD_BEGINS + 1000 * i, random);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(payload.length);
    parts.push(length, Buffer.from(payload));
  }
  return Buffer.concat(parts);
}
