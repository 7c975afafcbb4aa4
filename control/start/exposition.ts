/**
 * The Prometheus text exposition format, version 0.0.4, as far as scraping the running stack needs
 * it (https://prometheus.io/docs/instrumenting/exposition_formats/): samples of finite value.
 * Histogram buckets are left out: they would be two thirds of the points and no rule reads them.
 */
export interface Sample {
  metric: string;
  labels: [name: string, value: string][];
  value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '\\': '\\', '"': '"' };

/** At most `limit` samples; lines that are not samples are passed over. */
export function parseExposition(text: string, limit: number): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (samples.length === limit) break;
    const sample = parseLine(line);
    if (sample !== null) samples.push(sample);
  }
  return samples;
}

function parseLine(line: string): Sample | null {
  const found = line.startsWith('#') ? null : LINE.exec(line);
  if (found === null) return null;
  const [, metric = '', labels = '', text = ''] = found;
  const value = Number(text);
  if (metric.endsWith('_bucket') || !Number.isFinite(value)) return null;
  return { metric, labels: parseLabels(labels), value };
}

function parseLabels(text: string): [string, string][] {
  return [...text.matchAll(LABEL)].map(([, name = '', value = '']) => [
    name,
    value.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c),
  ]);
}
