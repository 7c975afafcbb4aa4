/**
 * What is evolved: workloads of the article, configurations that nobody tuned anything for, and the
 * fleet module, for several organizations at once.
 */
import { mixedWorkloads, workloadC } from '../workloads/mixed.ts';
import { type Workload, workloadA, workloadB } from '../workloads/workloads.ts';

export const CASES = ['a', 'b', 'c', 'mixed', 'generated', 'fleet'] as const;
export type CaseName = (typeof CASES)[number];

/** Of the 50 organizations of `mixed`; every so many-th is evolved. */
export const MIXED = 50;
const MIXED_SEED = 7;
const GENERATED = 3;
const GENERATED_SEED = 2_026;

/** Those with control arms. */
export const CONTROLLED: readonly CaseName[] = ['a', 'b', 'c'];

/** Of a fleet module: what it is told by beside the mean, on traffic that it was not chosen by. */
export const TOLD: readonly CaseName[] = ['a', 'b', 'c'];

/** A fleet module has more to please: half as many again. */
export function budgetOf(name: CaseName, evaluations: number): number {
  return name === 'fleet' ? Math.floor(1.5 * evaluations) : evaluations;
}

/** The rules are the same for every seed; the series are drawn from it. */
export function workloadsOf(name: CaseName, seed: number, organizations: number): Workload[] {
  switch (name) {
    case 'a':
      return [workloadA(seed)];
    case 'b':
      return [workloadB(seed)];
    case 'c':
      return [workloadC(seed)];
    case 'mixed':
      return spread(mixedWorkloads(MIXED_SEED, MIXED), organizations);
    case 'fleet':
      return [
        ...TOLD.flatMap((each) => workloadsOf(each, seed, organizations)),
        ...workloadsOf('mixed', seed, organizations),
      ];
    case 'generated':
      return mixedWorkloads(GENERATED_SEED, GENERATED).map((workload, index) => {
        return { ...workload, name: `generated-${index + 1}` };
      });
  }
}

function spread<Item>(items: readonly Item[], count: number): Item[] {
  return Array.from({ length: count }, (_, index) => {
    return items[Math.floor((index * items.length) / count)] as Item;
  });
}
