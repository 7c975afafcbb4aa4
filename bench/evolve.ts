/**
 * `npm run bench -- evolve`: what the built-in search reaches with a small budget, on how many
 * evaluations, and whether that is more than luck (best of N) or hill climbing would reach.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { choices, integer, type Outcome, runBench } from './command/index.ts';
import { ARMS, type Arm } from './evolve/arms.ts';
import { Book } from './evolve/book.ts';
import { Builder } from './evolve/builder.ts';
import { CASES, type CaseName } from './evolve/cases.ts';
import { benchDeps } from './evolve/deps.ts';
import { Measurer } from './evolve/measurer.ts';
import { plot } from './evolve/plot.ts';
import { metricsOf, panelsOf, table } from './evolve/report.ts';
import { jobsOf, runJobs } from './evolve/schedule.ts';

const help = `Usage: npm run bench -- evolve [--json] [OPTIONS]

Lets the built-in search evolve modules for workloads A (100 filters), B (100 group-bys) and C
(2,000 rules of dashboards), for organizations of \`mixed\`, and for three generated configurations,
by the stages of the product: plan, mutate, source policy, build, module policy, and the benchmark
in the sandbox, where every candidate must give the baseline's results bit by bit before it is
timed. And the fleet module, for A, B, C and the same organizations of \`mixed\` at once, with half
as many evaluations again: a candidate is scored by the geometric mean of its ratios, and is refused
where one organization surely loses against the best so far.

For A, B and C also two other arms with the same budget: \`independent\`, every candidate drawn
fresh from the same grammar, knowing nothing of what was measured; and \`sequential\`, one change at
a time of the best so far.

An evaluation is a candidate that was built and, unless a gate refused it or its component was known
already, measured. The first form of a module, which specialisation makes, is none. A candidate
becomes the best when it is surely faster than the best so far and, timed beside it once more on
messages that were kept apart, is faster there; until there is one the baseline serves, and 1
stands. At its end the six with the highest figures run against it once more, longer, and a search
gives the fastest. Then all that were best at some time, of all arms, are timed in one race on
messages that none was chosen by: the curves are made of these ratios.

  --json             the last line of standard output is one JSON object with the metrics
  --cases LIST       of ${CASES.join(', ')}; default all
  --arms LIST        of ${ARMS.join(', ')}; default all
  --seeds N          searches of each kind, 1 to 9, each with random choices and traffic of its
                     own; default 3
  --evaluations N    of each search, 4 to 400; default 40
  --organizations N  of the 50 of \`mixed\`, 1 to 50; default 4
  --messages N       training messages of an organization, 32 to 512; default 96
  --out DIR          for evolve.json, evolve.svg and what was measured: a run that was stopped goes
                     on from there; default .ratchet/bench-evolve
  --help             this text

All of it takes an hour and a half to two hours on two cores, a third of that with --seeds 1.

Metrics: builtin_a, builtin_b, builtin_c, the ratio to guest/baseline of what the search takes for
the best after all evaluations, median of the seeds; builtin_mixed, the same of the geometric mean
over the organizations; fleet_a, fleet_b, fleet_c, that of the best fleet module on messages of A, B
and C that it has not met, median of the seeds; share_at_20, how much of a builtin gain (logarithm
of the ratio) is there after half of the evaluations (20 of 40), median of the seeds, the least of
A, B, C and mixed; cases_ahead_of_both_arms, in how many of A, B and C the median of the search is
above that of both other arms or, where they are within 2 %, was above it on the way (mean of the
gains over all evaluations); candidates_per_minute, of the search for single organizations:
candidates that were built and measured (none answered from the record) in a minute, with planning
and proposing.
`;

const ABOUT = 'Ratio of the best so far to guest/baseline: median of the seeds, from least to most';
const DEFAULT_OUT = join('.ratchet', 'bench-evolve');

interface Options {
  cases: CaseName[];
  arms: Arm[];
  seeds: number;
  evaluations: number;
  organizations: number;
  messages: number;
  out: string;
}

await runBench({
  name: 'evolve',
  help,
  flags: {
    cases: { type: 'string', default: CASES.join(',') },
    arms: { type: 'string', default: ARMS.join(',') },
    seeds: { type: 'string', default: '3' },
    evaluations: { type: 'string', default: '40' },
    organizations: { type: 'string', default: '4' },
    messages: { type: 'string', default: '96' },
    out: { type: 'string', default: DEFAULT_OUT },
  },
  options: (values) => ({
    cases: choices('--cases', values.cases, CASES),
    arms: choices('--arms', values.arms, ARMS),
    seeds: integer('--seeds', values.seeds, 1, 9),
    evaluations: integer('--evaluations', values.evaluations, 4, 400),
    organizations: integer('--organizations', values.organizations, 1, 50),
    messages: integer('--messages', values.messages, 32, 512),
    out: resolve(values.out),
  }),
  measure: (options, signal) => measure(options, signal),
});

async function measure(options: Options, signal: AbortSignal): Promise<Outcome> {
  const { out, evaluations } = options;
  mkdirSync(out, { recursive: true });
  const deps = await benchDeps(process.env, out);
  const book = new Book(join(out, 'measured.jsonl'));
  const builder = new Builder(deps, book, signal);
  const measurer = new Measurer(deps, book, signal);
  const { runs, pace } = await runJobs({ deps, builder, measurer, signal }, book, {
    jobs: jobsOf(options),
    ...options,
    say,
  });
  const evidence = { evaluations, runs, pace };
  const metrics = metricsOf(evidence);
  const [result, picture] = [join(out, 'evolve.json'), join(out, 'evolve.svg')];
  writeFileSync(result, `${JSON.stringify({ ...options, metrics, pace, runs }, null, 1)}\n`);
  writeFileSync(picture, plot(panelsOf(evidence), ABOUT));
  process.stderr.write(table(evidence));
  say(`written: ${result} and ${picture}`);
  return { metrics };
}

function say(text: string): void {
  process.stderr.write(`# ${text}\n`);
}
