/** The curves as an SVG: a panel a case, a line an arm (median of the seeds) in its band. */
import { type Curve, median, pointwise } from './curves.ts';

export interface Panel {
  title: string;
  lines: Line[];
}

export interface Line {
  label: string;
  /** One a seed, all of one length. */
  curves: readonly Curve[];
}

const WIDTH = 300;
const HEIGHT = 220;
const MARGIN = { left: 44, right: 14, top: 30, bottom: 38 };
const COLUMNS = 3;
const LEGEND = 34;
const LEGEND_LEFT = 16;
const LEGEND_STEP = 96;
const COLOURS = ['#0b6e99', '#c2571a', '#6b7280', '#7a4fa3'];
const TICKS = [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50];

/** Panels without a line are left out. */
export function plot(panels: readonly Panel[], about: string): string {
  const shown = panels.filter(({ lines }) => lines.length > 0);
  const labels = [...new Set(shown.flatMap(({ lines }) => lines.map(({ label }) => label)))];
  const columns = Math.min(COLUMNS, Math.max(1, shown.length));
  const width = columns * WIDTH;
  const height = Math.ceil(shown.length / columns) * HEIGHT + LEGEND;
  const drawn = shown.map((panel, index) => {
    const [x, y] = [(index % columns) * WIDTH, Math.floor(index / columns) * HEIGHT];
    return `<g transform="translate(${x} ${y})">\n${panelOf(panel, labels)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"`,
    ` width="${width}" height="${height}" font-family="sans-serif" font-size="11">\n`,
    `<title>${escaped(about)}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n`,
    `${drawn.join('\n')}\n${legend(labels, height - LEGEND / 2)}\n</svg>\n`,
  ].join('');
}

interface Scales {
  x: (evaluations: number) => string;
  y: (ratio: number) => string;
}

function panelOf({ title, lines }: Panel, labels: readonly string[]): string {
  const values = lines.flatMap(({ curves }) => curves.flat());
  const [low, high] = [Math.min(1, ...values), Math.max(2, ...values) * 1.05];
  const last = Math.max(1, ...lines.map(({ curves }) => (curves[0]?.length ?? 1) - 1));
  const inner = {
    width: WIDTH - MARGIN.left - MARGIN.right,
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const along = (ratio: number) => Math.log(ratio / low) / Math.log(high / low);
  const scales: Scales = {
    x: (evaluations) => (MARGIN.left + (inner.width * evaluations) / last).toFixed(1),
    y: (ratio) => (MARGIN.top + inner.height * (1 - along(ratio))).toFixed(1),
  };
  return [
    `<text x="${MARGIN.left}" y="18" font-weight="bold">${escaped(title)}</text>`,
    ...TICKS.filter((tick) => tick >= low && tick <= high).map((tick) => horizontal(tick, scales)),
    ...[0, 0.25, 0.5, 0.75, 1].map((part) => below(Math.round(part * last), scales)),
    `<text x="${WIDTH / 2 + 15}" y="${HEIGHT - 6}" text-anchor="middle">evaluations</text>`,
    ...lines.map((line) => lineOf(line, colourOf(line.label, labels), scales)),
  ].join('\n');
}

function horizontal(tick: number, { y }: Scales): string {
  const at = y(tick);
  const line = `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}"`;
  const place = `x="${MARGIN.left - 6}" y="${at}" dy="0.35em" text-anchor="end"`;
  const text = `<text ${place}>${tick} ×</text>`;
  return `${line} stroke="${tick === 1 ? '#9ca3af' : '#e5e7eb'}"/>\n${text}`;
}

function below(evaluations: number, { x }: Scales): string {
  const y = HEIGHT - MARGIN.bottom + 15;
  return `<text x="${x(evaluations)}" y="${y}" text-anchor="middle">${evaluations}</text>`;
}

/** Between two generations nothing changes: steps, not slopes. */
function lineOf({ curves }: Line, colour: string, { x, y }: Scales): string {
  const steps = (curve: Curve) =>
    curve.flatMap((ratio, at) => {
      const before = curve[at - 1];
      const corner = before === undefined ? [] : [`${x(at)},${y(before)}`];
      return [...corner, `${x(at)},${y(ratio)}`];
    });
  const of = (pick: (numbers: readonly number[]) => number) => steps(pointwise(curves, pick));
  const least = of((numbers) => Math.min(...numbers)).reverse();
  const band = [...of((numbers) => Math.max(...numbers)), ...least].join(' ');
  const middle = of(median).join(' ');
  return [
    `<polygon points="${band}" fill="${colour}" fill-opacity="0.15"/>`,
    `<polyline points="${middle}" fill="none" stroke="${colour}" stroke-width="2"/>`,
  ].join('\n');
}

function legend(labels: readonly string[], y: number): string {
  return labels
    .map((label, index) => {
      const x = LEGEND_LEFT + LEGEND_STEP * index;
      const colour = colourOf(label, labels);
      const mark = `<rect x="${x}" y="${y - 4}" width="18" height="4" fill="${colour}"/>`;
      return `${mark}\n<text x="${x + 24}" y="${y + 2}">${escaped(label)}</text>`;
    })
    .join('\n');
}

function colourOf(label: string, labels: readonly string[]): string {
  return COLOURS[labels.indexOf(label) % COLOURS.length] as string;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
