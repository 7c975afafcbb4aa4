/** What `aggregator bench` answers, and the verdicts that follow from it. Pure. */
import { z } from 'zod';
import type { BenchmarkVerdict } from '../types.ts';

const ratio = z.object({
  name: z.string(),
  reference: z.string(),
  ratio: z.number().positive(),
  ci95: z.tuple([z.number(), z.number()]),
});

export const reportSchema = z.object({
  messages: z.int(),
  points: z.int(),
  rounds: z.int(),
  modules: z.array(
    z.object({
      name: z.string(),
      us_per_message: z.number(),
      us_min: z.number(),
      fuel_per_point: z.number(),
      records: z.number(),
    }),
  ),
  ratios: z.array(ratio),
  divergence: z
    .object({
      module: z.string(),
      message: z.int(),
      rule: z.string(),
      group: z.array(z.string()),
      window_start_ms: z.number(),
      expected: z.unknown(),
      actual: z.unknown(),
    })
    .nullable(),
  trap: z.object({ module: z.string(), message: z.int(), reason: z.string() }).nullable(),
  /** Of a report about several organizations: where a module surely loses. */
  losses: z
    .array(
      z.object({
        name: z.string(),
        ratio: z.number().positive(),
        ci95: z.tuple([z.number(), z.number()]),
        member: z.int(),
        members: z.int(),
      }),
    )
    .optional(),
});

export type Report = z.output<typeof reportSchema>;

/** Names in a report: the candidates' ids, and these. */
export const BASELINE = 'baseline';
export const INCUMBENT = 'incumbent';

/** The module that the report found wrong, if any: it was not timed, and has to go. */
export function wrongModule(report: Report): { name: string; verdict: BenchmarkVerdict } | null {
  const { divergence, trap } = report;
  if (trap !== null) {
    const reason = `message ${trap.message}: ${trap.reason}`;
    return { name: trap.module, verdict: { id: trap.module, verdict: 'trapped', reason } };
  }
  if (divergence === null) return null;
  const { module, message, rule, expected, actual } = divergence;
  const values = `expected ${show(expected)}, got ${show(actual)}`;
  const reason = `message ${message}, rule ${rule}: ${values}`;
  return { name: module, verdict: { id: module, verdict: 'diverged', reason } };
}

function show(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)) ?? 'nothing';
}

/**
 * The verdict on a timed module; the report's reference is what ratios refer to. `anchor`: the
 * ratio of that to the baseline, where it is known from before.
 */
export function timedVerdict(
  report: Report,
  id: string,
  threshold: number,
  anchor: number | null,
): BenchmarkVerdict {
  const module = report.modules.find(({ name }) => name === id);
  const found = report.ratios.find(({ name }) => name === id);
  if (module === undefined || found === undefined) {
    return { id, verdict: 'unmeasured', reason: 'not in the report' };
  }
  const measurement = {
    us_per_message: module.us_per_message,
    fuel_per_point: module.fuel_per_point,
    ratio: found.ratio,
    ci95: found.ci95,
    ratio_to_baseline: found.ratio * (anchor ?? 1 / baselineRatio(report, found.reference)),
  };
  const loss = report.losses?.find(({ name }) => name === id);
  if (loss !== undefined) return { id, verdict: 'loses', reason: told(loss), ...measurement };
  return { id, verdict: found.ci95[0] > threshold ? 'faster' : 'slow', ...measurement };
}

function told({ member, members, ratio, ci95 }: NonNullable<Report['losses']>[number]): string {
  const figures = `ratio ${ratio.toFixed(3)}, at most ${ci95[1].toFixed(3)}`;
  return `organization ${member + 1} of ${members} loses: ${figures}`;
}

/** How many times faster the baseline is than the reference. */
function baselineRatio(report: Report, reference: string): number {
  if (reference === BASELINE) return 1;
  return report.ratios.find(({ name }) => name === BASELINE)?.ratio ?? 1;
}
