/**
 * Stage `benchmark`: the incumbent, the candidates and the baseline, interleaved on training
 * messages. An elite, one whose lower bound passes the threshold, is timed a second time on
 * messages that were kept apart: the best of several noisy figures is always flattered.
 */
import type { Ref } from '../../workflows/messages.ts';
import { runAggregator, TOOL_LIMITS } from '../aggregator.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { beating } from '../heartbeat.ts';
import { generationOf, stageKey } from '../keys.ts';
import type { Activities, BenchmarkInput, BenchmarkResult, BenchmarkVerdict } from '../types.ts';
import {
  BASELINE,
  INCUMBENT,
  type Report,
  reportSchema,
  timedVerdict,
  wrongModule,
} from './report.ts';

type Needs = Pick<Deps, 'settings' | 'store' | 'stages' | 'modules'>;

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
      return deps.stages.once(stageKey(generationOf(input), 'benchmark', ...inputs), () =>
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
  const first = await untilClean(bench, input.candidates, input.corpus.fit, seconds, threshold);
  const elites = input.candidates.filter(({ id }) => isFaster(first.verdicts.get(id)));
  const again =
    elites.length === 0
      ? null
      : await untilClean(bench, elites, input.corpus.check, seconds / 2, threshold);
  const verdicts = input.candidates.map(({ id }): BenchmarkVerdict => {
    const unmeasured = { id, verdict: 'unmeasured' as const, reason: 'not in the report' };
    return again?.verdicts.get(id) ?? first.verdicts.get(id) ?? unmeasured;
  });
  const evidence = {
    schema: 1,
    configuration: input.configuration.digest,
    corpus: input.corpus,
    incumbent: input.incumbent?.module ?? null,
    threshold,
    reports: [...first.reports, ...(again?.reports ?? [])],
    verdicts,
  };
  return {
    evidence: await deps.store.put(JSON.stringify(evidence), 'application/json'),
    seconds: (performance.now() - started) / 1_000,
    candidates: verdicts,
  };
}

function isFaster(verdict: BenchmarkVerdict | undefined): boolean {
  return verdict?.verdict === 'faster';
}

interface Module {
  id: string;
  component: Ref;
}
type Bench = (modules: Module[], corpus: Ref, seconds: number) => Promise<Report>;

/** Times the modules; one that is found wrong is told and left out, until none is. */
async function untilClean(
  bench: Bench,
  modules: Module[],
  corpus: Ref,
  seconds: number,
  threshold: number,
): Promise<{ verdicts: Map<string, BenchmarkVerdict>; reports: Report[] }> {
  const verdicts = new Map<string, BenchmarkVerdict>();
  const reports: Report[] = [];
  let left = modules;
  while (left.length > 0) {
    const report = await bench(left, corpus, seconds);
    reports.push(report);
    const wrong = wrongModule(report);
    if (wrong === null) {
      for (const { id } of left) verdicts.set(id, timedVerdict(report, id, threshold));
      return { verdicts, reports };
    }
    if (!left.some(({ id }) => id === wrong.name)) {
      // Then the incumbent or the baseline is: not a verdict on any candidate.
      const { verdict } = wrong;
      throw fatal('invalidProfile', `${wrong.name}: ${'reason' in verdict ? verdict.reason : ''}`);
    }
    verdicts.set(wrong.name, wrong.verdict);
    left = left.filter(({ id }) => id !== wrong.name);
  }
  return { verdicts, reports };
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
  if (digest === null) return null;
  if (!(await deps.store.has(digest))) {
    const bytes = await deps.modules.get(digest);
    if (bytes === null) throw fatal('missingObject', `the incumbent's module ${digest}`);
    await deps.store.put(bytes, 'application/wasm');
  }
  return deps.store.path(digest);
}
