/** What a contest answers, the metrics made of it, and a table for people. */
import { z } from 'zod';
import type { Metrics } from '../command/index.ts';
import type { WorkloadName } from './subject.ts';

const interval = z.tuple([z.number(), z.number()]);
const guestSchema = z.object({
  name: z.enum(['baseline', 'per-point', 'promoted', 'native']),
  us_per_message: z.number().positive(),
  us_min: z.number().positive(),
  points_per_s: z.number().positive(),
  /** How many times faster the promoted one is. */
  promoted_vs: z.object({ ratio: z.number().positive(), ci95: interval }),
});
const mergeSchema = z.object({
  records_per_message: z.number(),
  ns_per_record: z.number(),
  ci95: interval,
  us_per_message: z.number(),
});
export const reportSchema = z.object({
  guests: z.array(guestSchema).length(4),
  /** Of messages whose tag-sets came before, in the same order. */
  merge: mergeSchema,
  /** Of the same series in messages that were not seen before. */
  merge_new: mergeSchema,
});
export type Report = z.output<typeof reportSchema>;
type GuestName = Report['guests'][number]['name'];

export function metricsOf(name: WorkloadName, report: Report): Metrics {
  const { guests, merge, merge_new: mergeNew } = report;
  const of = (guest: GuestName) => {
    const found = guests.find((each) => each.name === guest);
    if (found === undefined) throw new Error(`the contest of ${name} had no ${guest}`);
    return found;
  };
  return {
    [`${name}_promoted_vs_baseline`]: round(of('baseline').promoted_vs.ratio),
    [`${name}_promoted_vs_per_point`]: round(of('per-point').promoted_vs.ratio),
    [`${name}_promoted_vs_native`]: round(of('native').promoted_vs.ratio),
    [`${name}_merge_ns_per_record`]: round(merge.ns_per_record),
    [`${name}_merge_new_ns_per_record`]: round(mergeNew.ns_per_record),
    [`${name}_promoted_points_per_s`]: Math.round(of('promoted').points_per_s),
  };
}

function round(figure: number): number {
  return Math.round(1000 * figure) / 1000;
}

export function table(name: WorkloadName, report: Report): string {
  const head = `${name.toUpperCase().padEnd(12)}us a message (least)   promoted is so many times`;
  const rows = report.guests.map(({ name: guest, us_per_message, us_min, promoted_vs }) => {
    const [low, high] = promoted_vs.ci95.map((end) => end.toFixed(3));
    const us = `${us_per_message.toFixed(2).padStart(12)} (${us_min.toFixed(2)})`;
    const ratio = `${promoted_vs.ratio.toFixed(3)} (${low} to ${high})`;
    return `  ${guest.padEnd(10)}${us.padEnd(23)}${guest === 'promoted' ? '' : ratio}`;
  });
  const merges = [merging('merge', report.merge), merging('merge new', report.merge_new)];
  return `${[`${head} faster, 95 %`, ...rows, ...merges].join('\n')}\n`;
}

function merging(name: string, merge: Report['merge']): string {
  const [low, high] = merge.ci95.map((end) => end.toFixed(2));
  const each = `${merge.ns_per_record.toFixed(2)} ns a record (${low} to ${high})`;
  const records = `${merge.records_per_message.toFixed(1)} records a message`;
  return `  ${name.padEnd(10)}${merge.us_per_message.toFixed(2).padStart(12)}; ${each}, ${records}`;
}
