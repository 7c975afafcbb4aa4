/** Stage `benchmark`: the incumbent, the candidates and the baseline, interleaved on training
 * messages. */
import { join } from 'node:path';
import { FLEET, isFleet } from '../../workflows/level.ts';
import type { ConfigurationRef, Ref } from '../../workflows/messages.ts';
import { runAggregator, TOOL_LIMITS } from '../aggregator.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { fleetBench } from '../fleet/benchmark.ts';
import { beating } from '../heartbeat.ts';
import { generationOf, stageKey } from '../keys.ts';
import { decodeCorpus, encodeCorpus } from '../sample/corpus.ts';
import type { Activities, BenchmarkInput, BenchmarkResult, Corpus } from '../types.ts';
import { type Bench, cascade, type Module } from './cascade.ts';
import { BASELINE, INCUMBENT, type Report, reportSchema, wrongModule } from './report.ts';

type Needs = Pick<Deps, 'settings' | 'store' | 'stages'> & {
  modules: Pick<Deps['modules'], 'get'>;
  /** Where the fleet's module is published; absent where nothing is. */
  active?: Pick<Deps['active'], 'read'>;
  /** What the incumbent came to when it was a candidate; absent where nothing is kept. */
  archive?: Pick<Deps['archive'], 'knownRatio'>;
};

/** More than any time allows; the seconds decide. */
const ROUNDS = 400;
/** Loading, comparing and counting fuel come on top of the timed seconds. */
const OVERHEAD_SECONDS = 120;
/** The same of a language's runtime, which is compiled twice; below the activity's own limit. */
const RUNTIME_OVERHEAD_SECONDS = 480;

export function benchmarkActivities(deps: Needs): Pick<Activities, 'benchmark'> {
  return {
    benchmark: async (input) => {
      const modules = input.candidates.map(({ component }) => component.digest);
      const incumbent = await incumbentOf(deps, input);
      const inputs = [input.corpus.fit.digest, incumbent ?? BASELINE, ...modules];
      const stage = input.trial ? 'trial' : 'benchmark';
      return await deps.stages.once(stageKey(generationOf(input), stage, ...inputs), () =>
        beating({ candidates: modules.length }, (signal) =>
          benchmark(deps, { ...input, against: incumbent }, signal),
        ),
      );
    },
  };
}

/** What serves without a tenant's module is the fleet's, where one is published. */
async function incumbentOf({ active }: Needs, input: BenchmarkInput): Promise<string | null> {
  const own = input.incumbent?.module ?? null;
  if (own !== null || isFleet(input.org)) return own;
  return (await active?.read(FLEET))?.manifest.module?.sha256 ?? null;
}

interface Contest extends BenchmarkInput {
  /** Digest of the incumbent's component; null = the baseline. */
  against: string | null;
}

async function benchmark(
  deps: Needs,
  input: Contest,
  signal: AbortSignal,
): Promise<BenchmarkResult> {
  const started = performance.now();
  const { seconds, promotion_ratio: threshold } = input;
  const bench = benchOf(deps, input, signal);
  const corpus = await shortened(deps, input);
  const anchor = anchorOf(deps, input);
  const { verdicts, reports, elites } = await cascade(bench, input.candidates, corpus, {
    seconds,
    threshold,
    quickRatio: input.quick_ratio ?? 0,
    anchor,
  });
  const evidence = {
    schema: 1,
    configuration: input.configuration.digest,
    corpus,
    incumbent: input.against,
    anchor,
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

function anchorOf({ archive }: Needs, { org, against, configuration }: Contest): number | null {
  if (against === null) return null;
  return archive?.knownRatio(org, configuration.digest, against) ?? null;
}

/** The corpus is in the order of digests: its first messages are any messages. */
async function shortened(
  { store }: Pick<Needs, 'store'>,
  { corpus, messages_max: most }: BenchmarkInput,
): Promise<Corpus> {
  if (most === undefined) return corpus;
  const short = async ({ digest, mediaType }: Ref) => {
    const messages = decodeCorpus(await store.get(digest)).slice(0, most);
    return await store.put(encodeCorpus(messages), mediaType);
  };
  return { fit: await short(corpus.fit), check: await short(corpus.check) };
}

function benchOf(deps: Needs, input: Contest, signal: AbortSignal): Bench {
  const { against } = input;
  const own = against === null ? {} : { [INCUMBENT]: against };
  const reference = against === null ? BASELINE : INCUMBENT;
  const race = (of: Module[], rules: string, corpus: string, seconds: number) => {
    const candidates = of.map(({ id, component }) => [id, component.digest]);
    const modules = { ...own, ...Object.fromEntries(candidates) };
    const file = deps.store.path(corpus);
    const overhead = input.messages_max === undefined ? OVERHEAD_SECONDS : RUNTIME_OVERHEAD_SECONDS;
    const contest = { rules, modules, reference, corpus: file, seconds, overhead };
    return raceModules(deps, contest, signal);
  };
  if (isFleet(input.org)) {
    return fleetBench(deps, (of, { rules, corpus }, seconds) => race(of, rules, corpus, seconds));
  }
  const rules = input.configuration.blob.digest;
  return (of, corpus, seconds) => race(of, rules, corpus.digest, seconds);
}

/** What runs against each other, by digests; the baseline always runs along. */
export interface RaceInput {
  rules: string;
  /** Components by the names that the report has them under. */
  modules: Record<string, string>;
  reference: string;
  /** File with the messages. */
  corpus: string;
  seconds: number;
  /** Seconds that all but the timing may take; absent: what is usual. */
  overhead?: number;
}

export async function raceModules(
  deps: Pick<Needs, 'settings' | 'store' | 'modules'>,
  { rules, modules, reference, corpus, seconds, overhead = OVERHEAD_SECONDS }: RaceInput,
  signal: AbortSignal,
): Promise<Report> {
  const { settings, store } = deps;
  const whole = Math.max(1, Math.ceil(seconds));
  const args = ['bench', '--rules', store.path(rules), '--corpus', corpus];
  for (const [name, digest] of Object.entries(modules)) {
    args.push('--module', `${name}=${await moduleFile(deps, digest)}`);
  }
  // A candidate passed its own policy before; what serves may be a module that a tenant brought.
  args.push('--wasi', settings.wasi, '--builtin', BASELINE, '--reference', reference);
  args.push('--compiled', join(settings.state, 'compiled'));
  args.push('--rounds', String(ROUNDS), '--seconds', String(whole));
  const total = whole + overhead;
  const limits = { ...TOOL_LIMITS, milliseconds: total * 1_000, processorSeconds: total * 4 };
  return await runAggregator(settings.aggregator, args, reportSchema, { signal, limits });
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
  const report = await raceModules(
    deps,
    {
      rules: configuration.blob.digest,
      modules: { [INCUMBENT]: module },
      reference: BASELINE,
      corpus,
      seconds,
    },
    signal,
  );
  if (wrongModule(report) !== null) return null;
  return report.ratios.find(({ name }) => name === INCUMBENT)?.ratio ?? null;
}

/** An incumbent's bytes may come from another host: then the object store has them. */
async function moduleFile(deps: Pick<Needs, 'store' | 'modules'>, digest: string): Promise<string> {
  if (!(await deps.store.has(digest))) {
    const bytes = await deps.modules.get(digest);
    if (bytes === null) throw fatal('missingObject', `the module ${digest}`);
    await deps.store.put(bytes, 'application/wasm');
  }
  return deps.store.path(digest);
}
