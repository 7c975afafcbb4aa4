/** Stage `benchmark`: the incumbent, the candidates and the baseline, interleaved on training
 * messages. */
import type { ConfigurationRef } from '../../workflows/messages.ts';
import { runAggregator, TOOL_LIMITS } from '../aggregator.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { beating } from '../heartbeat.ts';
import { generationOf, stageKey } from '../keys.ts';
import type { Activities, BenchmarkInput, BenchmarkResult } from '../types.ts';
import { type Bench, cascade } from './cascade.ts';
import { BASELINE, INCUMBENT, reportSchema, wrongModule } from './report.ts';

type Needs = Pick<Deps, 'settings' | 'store' | 'stages'> & {
  modules: Pick<Deps['modules'], 'get'>;
};

/** More than any time allows; the seconds decide. */
const ROUNDS = 400;
/** Loading, comparing and counting fuel come on top of the timed seconds. */
const OVERHEAD_SECONDS = 120;

export function benchmarkActivities(deps: Needs): Pick<Activities, 'benchmark'> {
  return {
    benchmark: (input) => {
      const modules = input.candidates.map(({ component }) => component.digest);
      const incumbent = input.incumbent?.module ?? BASELINE;
      const inputs = [input.corpus.fit.digest, incumbent, ...modules];
      const stage = input.trial ? 'trial' : 'benchmark';
      return deps.stages.once(stageKey(generationOf(input), stage, ...inputs), () =>
        beating({ candidates: modules.length }, (signal) => benchmark(deps, input, signal)),
      );
    },
  };
}

async function benchmark(
  deps: Needs,
  input: BenchmarkInput,
  signal: AbortSignal,
): Promise<BenchmarkResult> {
  const started = performance.now();
  const bench = await prepare(deps, input, signal);
  const { seconds, promotion_ratio: threshold } = input;
  const { verdicts, reports, elites } = await cascade(bench, input.candidates, input.corpus, {
    seconds,
    threshold,
    quickRatio: input.quick_ratio ?? 0,
  });
  const evidence = {
    schema: 1,
    configuration: input.configuration.digest,
    corpus: input.corpus,
    incumbent: input.incumbent?.module ?? null,
    threshold,
    reports,
    verdicts,
    elites,
  };
  return {
    evidence: await deps.store.put(JSON.stringify(evidence), 'application/json'),
    seconds: (performance.now() - started) / 1_000,
    candidates: verdicts,
  };
}

export interface ModuleInput {
  configuration: ConfigurationRef;
  /** Digest of the component. */
  module: string;
  /** File with the messages. */
  corpus: string;
  seconds: number;
}

/** Ratio of one module to the baseline on a corpus; null when it is wrong there. */
export async function measureModule(
  deps: Pick<Needs, 'settings' | 'store' | 'modules'>,
  { configuration, module, corpus, seconds }: ModuleInput,
  signal: AbortSignal,
): Promise<number | null> {
  const total = Math.ceil(seconds) + OVERHEAD_SECONDS;
  const args = [
    ...['bench', '--rules', deps.store.path(configuration.blob.digest)],
    ...['--module', `${INCUMBENT}=${await moduleFile(deps, module)}`],
    ...['--builtin', BASELINE, '--reference', BASELINE, '--rounds', String(ROUNDS)],
    ...['--corpus', corpus, '--seconds', String(Math.ceil(seconds))],
  ];
  const limits = { ...TOOL_LIMITS, milliseconds: total * 1_000, processorSeconds: total * 4 };
  const report = await runAggregator(deps.settings.aggregator, args, reportSchema, {
    signal,
    limits,
  });
  if (wrongModule(report) !== null) return null;
  return report.ratios.find(({ name }) => name === INCUMBENT)?.ratio ?? null;
}

async function prepare(deps: Needs, input: BenchmarkInput, signal: AbortSignal): Promise<Bench> {
  const { settings, store } = deps;
  const incumbent = await incumbentFile(deps, input);
  const reference = incumbent === null ? BASELINE : INCUMBENT;
  const fixed = [
    ...['bench', '--rules', store.path(input.configuration.blob.digest)],
    ...(incumbent === null ? [] : ['--module', `${INCUMBENT}=${incumbent}`]),
    ...['--builtin', BASELINE, '--reference', reference, '--rounds', String(ROUNDS)],
  ];
  return async (modules, corpus, seconds) => {
    const candidates = modules.flatMap(({ id, component }) => [
      '--module',
      `${id}=${store.path(component.digest)}`,
    ]);
    const args = [
      ...fixed,
      ...['--corpus', store.path(corpus.digest), '--seconds', String(Math.ceil(seconds))],
      ...candidates,
    ];
    const total = Math.ceil(seconds) + OVERHEAD_SECONDS;
    const limits = { ...TOOL_LIMITS, milliseconds: total * 1_000, processorSeconds: total * 4 };
    return await runAggregator(settings.aggregator, args, reportSchema, { signal, limits });
  };
}

/** The incumbent's bytes may come from another host: then the object store has them. */
async function incumbentFile(deps: Needs, input: BenchmarkInput): Promise<string | null> {
  const digest = input.incumbent?.module ?? null;
  return digest === null ? null : await moduleFile(deps, digest);
}

async function moduleFile(deps: Pick<Needs, 'store' | 'modules'>, digest: string): Promise<string> {
  if (!(await deps.store.has(digest))) {
    const bytes = await deps.modules.get(digest);
    if (bytes === null) throw fatal('missingObject', `the incumbent's module ${digest}`);
    await deps.store.put(bytes, 'application/wasm');
  }
  return deps.store.path(digest);
}
