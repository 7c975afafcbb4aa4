/** The live terminal view, as pure text of the models. */
import { FLEET } from '../../workflows/level.ts';
import type { OrganizationModel, Progress, Swapped } from './model.ts';

/** Messages that one core could take at `us` microseconds each, as people read it. */
export function capacity(us: number): string {
  return `${compact(1e6 / us)} msg/s a core`;
}

export function renderTable(models: readonly OrganizationModel[]): string[] {
  const rows = models.map(row);
  const head = ['organization', 'stage', 'generation', 'rate', 'guest time', 'version', 'lost'];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((cells) => cells[i]?.length ?? 0)),
  );
  return [head, ...rows].map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** One line for a log, when the output is not a terminal. */
export function renderLine(model: OrganizationModel): string {
  const [org, stage, generation, rate, time, version, lost] = row(model);
  return `${org}: ${stage}, generation ${generation}, ${rate}, ${time}, ${version}, lost ${lost}`;
}

export function renderSwap(org: string, swap: Swapped, model: OrganizationModel): string {
  if (swap.kind === 'tombstone') return `${org}: version ${swap.version} retired the module`;
  const before = model.beforeSwapUs;
  const was = before === null ? '' : `, before: ${before.toFixed(1)} µs (${capacity(before)})`;
  return `${org}: version ${swap.version} swapped in, pause ${swap.pause_us.toFixed(0)} µs${was}`;
}

/** The gain on training traffic, told apart. */
export function renderGain({ org, progress }: OrganizationModel): string | null {
  if (progress?.gain == null) return null;
  const { total, specialisation, builtin, llm } = progress.gain;
  const times = (value: number) => `${value.toFixed(2)} ×`;
  const parts = `specialisation ${times(specialisation)}, built-in search ${times(builtin)}`;
  return `${org}: ${times(total)} the baseline = ${parts}, models ${times(llm)}`;
}

export function renderMeasured({ org, measured }: OrganizationModel): string {
  if (measured === null) return `${org}: not measured yet`;
  const { us, ratio_to_baseline, ratio_to_per_point, ci95, version } = measured;
  return (
    `${org}: version ${version} on held-back messages: ${us.baseline.toFixed(1)} → ` +
    `${us.active.toFixed(1)} µs a message (${capacity(us.baseline)} → ${capacity(us.active)}), ` +
    `${ratio_to_baseline.toFixed(2)} × the baseline ` +
    `[${ci95.map((bound) => bound.toFixed(2)).join(', ')}], ` +
    `${ratio_to_per_point.toFixed(0)} × per-point`
  );
}

/** It has no traffic and loses no point. */
function fleetRow({ org, progress }: OrganizationModel): string[] {
  const version = progress?.activeVersion == null ? 'none yet' : `v${progress.activeVersion}`;
  const generation = progress === null || progress.generation === 0 ? '-' : progress.generation;
  return [org, fleetStage(progress), String(generation), '-', '-', version, '-'];
}

function fleetStage(progress: Progress | null): string {
  if (progress === null) return 'starting';
  const evolving = progress.captured?.evolving ?? 0;
  if (progress.stage === 'capturing' && evolving > 0) return `waits for ${evolving}`;
  return stageOf(progress);
}

function row(model: OrganizationModel): string[] {
  const { progress } = model;
  if (model.org === FLEET) return fleetRow(model);
  return [
    model.org,
    progress === null ? 'starting' : stageOf(progress),
    progress === null || progress.generation === 0 ? '-' : String(progress.generation),
    `${model.rate.toFixed(0)} msg/s`,
    model.liveUs === null ? '-' : `${model.liveUs.toFixed(1)} µs (${capacity(model.liveUs)})`,
    progress?.activeVersion == null ? without(model) : `v${progress.activeVersion}`,
    String(model.lost),
  ];
}

/** What serves without a module of its own. */
function without({ fleetVersion }: OrganizationModel): string {
  return fleetVersion === null ? 'baseline' : `fleet v${fleetVersion}`;
}

function stageOf(progress: Progress): string {
  if (progress.generationStage !== null) return progress.generationStage;
  if (progress.stage !== 'capturing' || progress.captured === null) return progress.stage;
  return `capturing ${progress.captured.training}+${progress.captured.held_back}`;
}

function compact(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)}M`;
  return n >= 1e3 ? `${(n / 1e3).toFixed(0)}k` : n.toFixed(0);
}
