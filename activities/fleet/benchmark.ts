/**
 * The benchmark of a fleet candidate: a run for each organization of the corpus, under that
 * organization's rules, and one report of them all. The ratio is the geometric mean.
 */
import { LOSS_RATIO } from '../../workflows/level.ts';
import type { Ref } from '../../workflows/messages.ts';
import type { Bench, Module } from '../benchmark/cascade.ts';
import { type Report, wrongModule } from '../benchmark/report.ts';
import type { Deps } from '../deps.ts';
import { type Member, readFleetCorpus } from './corpus.ts';

/** Times modules on the messages of one organization. */
export type MemberBench = (modules: Module[], on: Member, seconds: number) => Promise<Report>;

/** The corpus is the document of a fleet corpus; the seconds are shared by its organizations. */
export function fleetBench({ store }: Pick<Deps, 'store'>, bench: MemberBench): Bench {
  return async (modules: Module[], corpus: Ref, seconds: number) => {
    const { members } = await readFleetCorpus(store, corpus);
    const reports: Report[] = [];
    for (const member of members) {
      const report = await bench(modules, member, seconds / members.length);
      // A wrong module is not worth its time elsewhere.
      if (wrongModule(report) !== null) return report;
      reports.push(report);
    }
    return mergeReports(reports);
  };
}

/** One report of the same modules, each right for every organization. */
export function mergeReports(reports: readonly Report[]): Report {
  const [first] = reports;
  if (first === undefined) throw new Error('no organization was measured');
  const sum = (of: (report: Report) => number) => reports.reduce((all, each) => all + of(each), 0);
  const mean = (of: (report: Report) => number) => sum(of) / reports.length;
  return {
    messages: sum(({ messages }) => messages),
    points: sum(({ points }) => points),
    rounds: Math.min(...reports.map(({ rounds }) => rounds)),
    modules: first.modules.map(({ name }) => {
      const figure = (of: keyof Omit<ModuleFigures, 'name'>) =>
        mean(({ modules }) => modules.find((each) => each.name === name)?.[of] ?? 0);
      return {
        name,
        us_per_message: figure('us_per_message'),
        us_min: figure('us_min'),
        fuel_per_point: figure('fuel_per_point'),
        records: sum(({ modules }) => modules.find((each) => each.name === name)?.records ?? 0),
      };
    }),
    ratios: first.ratios.map(({ name, reference }) => ({
      ...{ name, reference },
      ...meanRatio(reports.flatMap(({ ratios }) => ratios.filter((each) => each.name === name))),
    })),
    losses: lossesIn(reports),
    divergence: null,
    trap: null,
  };
}

type ModuleFigures = Report['modules'][number];
type Ratio = Report['ratios'][number];

/**
 * The geometric mean of independent ratios. Their intervals add up as squares, each bound by its
 * own distances.
 */
export function meanRatio(ratios: readonly Pick<Ratio, 'ratio' | 'ci95'>[]) {
  const count = ratios.length;
  const mean = ratios.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / count;
  const half = (bound: 0 | 1) => {
    const squares = ratios.map(({ ratio, ci95 }) => Math.log(ratio / ci95[bound]) ** 2);
    return Math.sqrt(squares.reduce((sum, each) => sum + each, 0)) / count;
  };
  const ci95: [number, number] = [Math.exp(mean - half(0)), Math.exp(mean + half(1))];
  return { ratio: Math.exp(mean), ci95 };
}

/** Where a module surely loses against the reference; of each module the worst. */
function lossesIn(reports: readonly Report[]): NonNullable<Report['losses']> {
  const worst = new Map<string, NonNullable<Report['losses']>[number]>();
  for (const [member, { ratios }] of reports.entries()) {
    for (const { name, ratio, ci95 } of ratios) {
      const before = worst.get(name);
      if (ci95[1] >= LOSS_RATIO || (before !== undefined && before.ratio <= ratio)) continue;
      worst.set(name, { name, ratio, ci95, member, members: reports.length });
    }
  }
  return [...worst.values()];
}
