/** What the contest answers, the metrics made of it, and a table for people. */
import { z } from 'zod';

const figuresSchema = z.object({
  name: z.string(),
  guest_ns: z.number(),
  native_ns: z.number(),
  first_is_faster: z
    .object({ ratio: z.number(), ci95: z.tuple([z.number(), z.number()]) })
    .nullable(),
});

const raceSchema = z.object({
  name: z.string(),
  units: z.number().positive(),
  figures: z.array(figuresSchema).min(2),
});

export const reportSchema = z.object({
  messages: z.number(),
  runs: z.array(raceSchema).min(1),
  columns: z.array(raceSchema).min(1),
});

export type Report = z.infer<typeof reportSchema>;
type Race = z.infer<typeof raceSchema>;
type Figures = z.infer<typeof figuresSchema>;

export interface Metrics {
  svb_vs_best_scalar_crate: number;
  columns_vs_unverified_reader: number;
}

/** How many times faster the codec is, where it does worst against the best of the others. */
export function metricsOf(report: Report): Metrics {
  const whole = report.columns.filter(({ name }) => name === 'All');
  const runs = report.runs.map((race) => leastRatio(race, (name) => name !== 'unverified'));
  const columns = whole.map((race) => leastRatio(race, (name) => name === 'unverified'));
  return {
    svb_vs_best_scalar_crate: round(Math.min(...runs)),
    columns_vs_unverified_reader: round(Math.min(...columns)),
  };
}

function leastRatio({ figures }: Race, against: (name: string) => boolean): number {
  const ratios = figures
    .filter(({ name }) => against(name))
    .flatMap(({ first_is_faster }) => first_is_faster?.ratio ?? []);
  return Math.min(...ratios);
}

function round(ratio: number): number {
  return Math.round(1000 * ratio) / 1000;
}

export function table(report: Report): string {
  const lines = [
    `${report.messages} messages of workload A; the ratio says how many times faster codec is`,
    ...block('StreamVByte runs', 'ns a number', report.runs),
    ...block('Columns', 'ns a message', report.columns),
  ];
  return `${lines.join('\n')}\n`;
}

function block(title: string, unit: string, races: readonly Race[]): string[] {
  const head = `${title.padEnd(17)}${unit.padEnd(15)}${'guest'.padStart(10)}`;
  return ['', `${head}${'native'.padStart(10)}   ratio in the guest, 95 %`, ...races.flatMap(rows)];
}

function rows({ name, units, figures }: Race): string[] {
  return figures.map((one, n) => `${(n === 0 ? name : '').padEnd(17)}${row(one, units)}`);
}

function row({ name, guest_ns, native_ns, first_is_faster: faster }: Figures, units: number) {
  const figure = (ns: number) => (ns / units).toFixed(2).padStart(10);
  const span = faster?.ci95.map((end) => end.toFixed(3)).join(' to ');
  const ratio = faster === null ? '' : `   ${faster.ratio.toFixed(3)} (${span})`;
  return `${name.padEnd(15)}${figure(guest_ns)}${figure(native_ns)}${ratio}`;
}
