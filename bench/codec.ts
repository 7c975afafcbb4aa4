/**
 * `npm run bench -- codec`: how fast the codec decodes inside a guest, side by side with the best
 * scalar StreamVByte crate and with a reader by hand that checks nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildContest, race } from './codec/contest.ts';
import { metricsOf, table } from './codec/report.ts';
import { integer, type Outcome, runBench } from './command/index.ts';
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

interface Options {
  rounds: number;
  messages: number;
  seed: number;
}

await runBench({
  name: 'codec',
  help,
  flags: {
    rounds: { type: 'string', default: '201' },
    messages: { type: 'string', default: '64' },
    seed: { type: 'string', default: '7' },
  },
  options: ({ rounds, messages, seed }) => ({
    rounds: integer('--rounds', rounds, 3, 10_000),
    messages: integer('--messages', messages, 1, 1_000),
    seed: integer('--seed', seed, 0, 0xffff_ffff),
  }),
  measure,
});

async function measure({ rounds, messages, seed }: Options, signal: AbortSignal): Promise<Outcome> {
  const contest = await buildContest(process.env, signal);
  const folder = mkdtempSync(join(tmpdir(), 'ratchet-bench-codec-'));
  try {
    const corpus = join(folder, 'messages.rtc');
    writeFileSync(corpus, corpusOf(messages, seed));
    const report = await race(contest, corpus, rounds, signal);
    process.stderr.write(table(report));
    return { metrics: { ...metricsOf(report) } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
