/** What was measured, in numbers and in words. */

/** What one run cost, from the first request to the last emitted aggregate. */
export interface Cost {
  samples: number;
  processes: Record<string, { seconds: number; peakBytes: number }>;
}

/** The same bodies on both sides. */
export interface Round {
  ratchet: { a: Cost; b: Cost };
  vmagent: { a: Cost; merged: Cost; b: Cost };
  /** What differs from what was sent, by side; nothing is as it should be. */
  differences: string[];
}

export interface Metrics {
  a_vs_vmagent: number;
  a_vs_vmagent_merged: number;
  b_vs_vmagent: number;
  sums_equal: boolean;
}

/** CPU seconds of all processes per million samples. */
export function perMillion({ samples, processes }: Cost): number {
  const seconds = Object.values(processes).reduce((sum, { seconds }) => sum + seconds, 0);
  return (seconds / samples) * 1e6;
}

/** Ratios within a round, where the machine was the same; the middle one of the rounds. */
export function metricsOf(rounds: readonly Round[]): Metrics {
  const ratio = (of: (round: Round) => [Cost, Cost]) => {
    const ratios = rounds.map((round) => {
      const [theirs, ours] = of(round).map(perMillion);
      return (theirs ?? Number.NaN) / (ours ?? Number.NaN);
    });
    return Math.round(median(ratios) * 100) / 100;
  };
  return {
    a_vs_vmagent: ratio(({ vmagent, ratchet }) => [vmagent.a, ratchet.a]),
    a_vs_vmagent_merged: ratio(({ vmagent, ratchet }) => [vmagent.merged, ratchet.a]),
    b_vs_vmagent: ratio(({ vmagent, ratchet }) => [vmagent.b, ratchet.b]),
    sums_equal: rounds.every(({ differences }) => differences.length === 0),
  };
}

/** The lower middle one where there are two. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

const names: [string, (round: Round) => Cost][] = [
  ['A  ratchet', ({ ratchet }) => ratchet.a],
  ['A  vmagent, 100 rules', ({ vmagent }) => vmagent.a],
  ['A  vmagent, one rule merged by hand', ({ vmagent }) => vmagent.merged],
  ['B  ratchet', ({ ratchet }) => ratchet.b],
  ['B  vmagent, 100 rules', ({ vmagent }) => vmagent.b],
];

export function table(rounds: readonly Round[]): string {
  const head = `${'case'.padEnd(38)}${'CPU s / 1M samples'.padStart(20)}  by process\n`;
  const lines = rounds.flatMap((round) =>
    names.map(([name, of]) => {
      const cost = of(round);
      return `${name.padEnd(38)}${perMillion(cost).toFixed(3).padStart(20)}  ${parts(cost)}\n`;
    }),
  );
  const differences = rounds.flatMap(({ differences }) => differences);
  const shown = differences.slice(0, 10).map((line) => `differs: ${line}\n`);
  const more = differences.length > shown.length ? `${differences.length} differences\n` : '';
  return [head, ...lines, ...shown, more].join('');
}

function parts({ samples, processes }: Cost): string {
  return Object.entries(processes)
    .map(([name, { seconds, peakBytes }]) => {
      const each = ((seconds / samples) * 1e6).toFixed(3);
      const memory = (peakBytes / 2 ** 20).toFixed(0);
      return `${name} ${each} (${seconds.toFixed(2)} s, peak ${memory} MiB)`;
    })
    .join(', ');
}
