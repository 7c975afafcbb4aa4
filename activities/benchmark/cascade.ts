/**
 * The order of measurements: a quick run of all, a longer one of those that are not surely far
 * behind, and one more of the elites on messages that were kept apart: the best of several noisy
 * figures is always flattered. Thresholds are ratios to the incumbent, never absolute times.
 *
 * Candidates of all generations are compared with each other by way of the incumbent: their ratio
 * to the baseline is that to the incumbent, times what the incumbent had as a candidate. For a run
 * has ratios to the baseline of its own. A quarter of the messages is easier to predict for a
 * processor, and the baseline gains most by that (workload A, 22 messages instead of 74: 3.66
 * instead of 3.97); in spells in which a machine takes 1.45 times as long, the same module is at
 * 3.66 instead of 4.03. Without such an incumbent, training messages tell it for all of them.
 */
import type { Ref } from '../../workflows/messages.ts';
import { fatal } from '../faults.ts';
import type { BenchmarkVerdict, Corpus } from '../types.ts';
import { type Report, timedVerdict, wrongModule } from './report.ts';

export interface Module {
  id: string;
  component: Ref;
}

export type Bench = (modules: Module[], corpus: Ref, seconds: number) => Promise<Report>;

export interface CascadeSettings {
  /** Of all runs but the elites'. */
  seconds: number;
  /** The lower bound that makes an elite. */
  threshold: number;
  /** The upper bound that is worth a longer run; 0 = all are. */
  quickRatio: number;
  /** The incumbent's ratio to the baseline, where it is known; null = as the run finds it. */
  anchor: number | null;
}

export interface Measured {
  verdicts: BenchmarkVerdict[];
  reports: Report[];
}

export interface Cascaded extends Measured {
  /** Ids of those that were timed on the messages that were kept apart, too. */
  elites: string[];
}

/** Of `seconds`, what the quick run takes. */
const QUICK_SHARE = 0.25;

export async function cascade(
  bench: Bench,
  modules: readonly Module[],
  corpus: Corpus,
  settings: CascadeSettings,
): Promise<Cascaded> {
  const { seconds, quickRatio } = settings;
  const verdicts = new Map<string, BenchmarkVerdict>();
  const reports: Report[] = [];
  const run = async (of: readonly Module[], on: Ref, time: number) => {
    const clean = await untilClean(bench, of, on, time, settings);
    reports.push(...clean.reports);
    return clean.verdicts;
  };
  const trained = async (of: readonly Module[], time: number) => {
    for (const verdict of await run(of, corpus.fit, time)) verdicts.set(verdict.id, verdict);
  };
  const isSelected = (test: (verdict: BenchmarkVerdict) => boolean) =>
    modules.filter(({ id }) => {
      const verdict = verdicts.get(id);
      return verdict !== undefined && test(verdict);
    });
  // A single one is what the generation is about: there is nothing to save.
  const quick = quickRatio > 0 && modules.length > 1;
  if (quick) await trained(modules, seconds * QUICK_SHARE);
  const left = quick ? isSelected((verdict) => isWorthMore(verdict, quickRatio)) : modules;
  await trained(left, quick ? seconds * (1 - QUICK_SHARE) : seconds);
  const elites = isSelected(({ verdict }) => verdict === 'faster');
  for (const apart of await run(elites, corpus.check, seconds / 2)) {
    verdicts.set(apart.id, confirmed(verdicts.get(apart.id), apart, settings.anchor));
  }
  const unmeasured = { verdict: 'unmeasured' as const, reason: 'not in the report' };
  return {
    reports,
    verdicts: modules.map(({ id }) => verdicts.get(id) ?? { id, ...unmeasured }),
    elites: elites.map(({ id }) => id),
  };
}

/** Beside an anchor an elite's own ratio is the second: what is handed on must not be lucky. */
function confirmed(
  trained: BenchmarkVerdict | undefined,
  apart: BenchmarkVerdict,
  anchor: number | null,
): BenchmarkVerdict {
  if (trained === undefined || !('ratio' in trained && 'ratio' in apart)) return apart;
  const { us_per_message, fuel_per_point } = trained;
  const { ratio_to_baseline } = anchor === null ? trained : apart;
  return { ...apart, us_per_message, fuel_per_point, ratio_to_baseline };
}

function isWorthMore(verdict: BenchmarkVerdict, quickRatio: number): boolean {
  return 'ci95' in verdict && verdict.ci95[1] >= quickRatio;
}

/** Times the modules; one that is found wrong is told and left out, until none is. */
async function untilClean(
  bench: Bench,
  modules: readonly Module[],
  corpus: Ref,
  seconds: number,
  { threshold, anchor }: CascadeSettings,
): Promise<Measured> {
  const verdicts: BenchmarkVerdict[] = [];
  const reports: Report[] = [];
  let left = [...modules];
  while (left.length > 0) {
    const report = await bench(left, corpus, seconds);
    reports.push(report);
    const wrong = wrongModule(report);
    if (wrong === null) {
      verdicts.push(...left.map(({ id }) => timedVerdict(report, id, threshold, anchor)));
      return { verdicts, reports };
    }
    if (!left.some(({ id }) => id === wrong.name)) {
      // Then the incumbent or the baseline is: not a verdict on any candidate.
      const { verdict } = wrong;
      throw fatal('invalidProfile', `${wrong.name}: ${'reason' in verdict ? verdict.reason : ''}`);
    }
    verdicts.push(wrong.verdict);
    left = left.filter(({ id }) => id !== wrong.name);
  }
  return { verdicts, reports };
}
