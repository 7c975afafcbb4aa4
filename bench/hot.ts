/**
 * `npm run bench -- hot`: what a message costs on its way through a guest and the merge, on one
 * core, beside the plain reference, the baseline and the best that was written by hand.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choices, integer, type Metrics, type Outcome, runBench } from './command/index.ts';
import { buildHost, buildModule, race } from './hot/contest.ts';
import { metricsOf, table } from './hot/report.ts';
import { search, type Tools } from './hot/search.ts';
import { makeSubject, type Subject, WORKLOADS, type WorkloadName } from './hot/subject.ts';

const help = `Usage: npm run bench -- hot [--json] [OPTIONS]

Takes messages of workloads A (100 filters), B (100 group-bys) and C (2,000 rules of dashboards)
through four aggregations that take turns in one thread, after all were seen to give the same bit
by bit: per-point and baseline, the references; promoted, the best that the built-in search found,
from bench/hot/promoted; native, the same by hand in Rust on the same codec (bench/native). Guests
run as in production: under deadlines, on instances that are used again, their records checked;
native runs without any of that. Then the aggregator merges promoted's records, a few messages at a
time and just made, all into the same windows, every series known: once messages whose tag-sets
came before in the same order (merge), once the same points in an order that is new (merge new).
Times are CPU time of the thread.

  --json            the last line of standard output is one JSON object with the metrics
  --workloads LIST  of ${WORKLOADS.join(', ')}; default all
  --rounds N        of the contest, 3 to 1000; default 31
  --messages N      8 to 1000; default 128
  --seed N          of series and messages; default 7
  --search N        first searches: N candidates for each workload, 1 to 400, on messages of
                    another seed; the best replaces what bench/hot/promoted holds
  --help            this text

Metrics, each with a_, b_ or c_ before it: promoted_vs_baseline, promoted_vs_per_point and
promoted_vs_native, how many times faster promoted is; merge_ns_per_record and
merge_new_ns_per_record; promoted_points_per_s, points of messages in a second.
`;

interface Options {
  workloads: WorkloadName[];
  rounds: number;
  messages: number;
  seed: number;
  evaluations: number | null;
}

const PROMOTED = new URL('./hot/promoted/', import.meta.url);
const SEEDS = 0xffff_ffff;

await runBench({
  name: 'hot',
  help,
  flags: {
    workloads: { type: 'string', default: WORKLOADS.join(',') },
    rounds: { type: 'string', default: '31' },
    messages: { type: 'string', default: '128' },
    seed: { type: 'string', default: '7' },
    search: { type: 'string' },
  },
  options: ({ workloads, rounds, messages, seed, search }) => ({
    workloads: choices('--workloads', workloads, WORKLOADS),
    rounds: integer('--rounds', rounds, 3, 1_000),
    messages: integer('--messages', messages, 8, 1_000),
    seed: integer('--seed', seed, 0, SEEDS),
    evaluations: search === undefined ? null : integer('--search', search, 1, 400),
  }),
  measure,
});

async function measure(options: Options, signal: AbortSignal): Promise<Outcome> {
  const env = process.env;
  const host = await buildHost(env, signal);
  const folder = mkdtempSync(join(tmpdir(), 'ratchet-bench-hot-'));
  const tools = { env, host, folder, signal };
  try {
    const metrics: Metrics[] = [];
    for (const name of options.workloads) {
      if (options.evaluations !== null) await improve(name, tools, options);
      const subject = makeSubject(name, folder, options);
      const module = await promotedModule(subject, tools);
      const report = await race(host, subject, module, options.rounds, signal);
      process.stderr.write(table(name, report));
      metrics.push(metricsOf(name, report));
    }
    return { metrics: Object.assign({}, ...metrics) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function promotedModule(subject: Subject, { env, folder, signal }: Tools): Promise<string> {
  const source = readFileSync(promotedFile(subject.name), 'utf8');
  const file = join(folder, `${subject.name}.wasm`);
  const module = await buildModule(env, subject, source, file, signal);
  if (module === null) throw new Error(`${promotedFile(subject.name).pathname} does not compile`);
  return module;
}

async function improve(
  name: WorkloadName,
  tools: Tools,
  { messages, seed, evaluations }: Options,
): Promise<void> {
  const subject = makeSubject(name, tools.folder, { messages, seed: (seed + 1) % SEEDS });
  const budget = { evaluations: evaluations ?? 0, seed };
  const say = (line: string) => process.stderr.write(`# ${line}\n`);
  const best = await search(tools, subject, budget, say);
  say(`${name}: ${best.ratio.toFixed(2)} × the baseline, ${best.operator}`);
  writeFileSync(promotedFile(name), best.source);
}

function promotedFile(name: WorkloadName): URL {
  return new URL(`${name}.rs.txt`, PROMOTED);
}
