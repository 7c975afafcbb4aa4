/** The JSON object that `npm start -- --once --json` ends with, and the exit status it means. */
import type { Balance } from '../../bench/oracle/ledger.ts';
import type { GainSplit } from '../../evolver/gain.ts';
import type { OrganizationModel, Progress } from './model.ts';

export interface OrganizationResult {
  org: string;
  promoted: boolean;
  version: number | null;
  mutator: string | null;
  generations: number;
  candidates: number;
  rejected: Readonly<Record<string, number>>;
  module_digest: string | null;
  ratio_to_baseline: number | null;
  ratio_to_per_point: number | null;
  ci95: [number, number] | null;
  /** The module's ratio to the baseline when it was a candidate, as a product. */
  gain: GainSplit | null;
  us_per_message: { active: number; baseline: number; per_point: number } | null;
  points_expected: number;
  points_emitted: number;
  points_lost: number;
  first_promotion_s: number | null;
  /** Why there is no promotion; null when there is one. */
  reason: string | null;
}

/** As far as it came while the organizations evolved. */
export interface FleetResult {
  version: number | null;
  generations: number;
  candidates: number;
  module_digest: string | null;
}

export interface Result {
  organizations: OrganizationResult[];
  fleet: FleetResult;
  swaps: number;
  seed: number;
  stack: Record<string, string>;
  /** What makes the exit status 1; empty when all is well. */
  faults: string[];
}

export function organizationResult(model: OrganizationModel, balance: Balance): OrganizationResult {
  const { progress, measured } = model;
  const version = progress?.activeVersion ?? null;
  const told = measured !== null && measured.version === version ? measured : null;
  return {
    org: model.org,
    promoted: version !== null,
    version,
    mutator: progress?.outcomes.findLast((o) => o.version === version)?.mutator ?? null,
    generations: progress?.generation ?? 0,
    candidates: progress?.candidates ?? 0,
    rejected: progress?.rejected ?? {},
    module_digest: progress?.activeModule ?? null,
    ratio_to_baseline: told?.ratio_to_baseline ?? null,
    ratio_to_per_point: told?.ratio_to_per_point ?? null,
    ci95: told?.ci95 ?? null,
    gain: progress?.gain ?? null,
    us_per_message: told?.us ?? null,
    points_expected: balance.expected,
    points_emitted: balance.emitted,
    points_lost: balance.lost,
    first_promotion_s: firstPromotionSeconds(progress),
    reason: version === null ? whyNot(progress) : null,
  };
}

export function fleetResult({ progress }: OrganizationModel): FleetResult {
  return {
    version: progress?.activeVersion ?? null,
    generations: progress?.generation ?? 0,
    candidates: progress?.candidates ?? 0,
    module_digest: progress?.activeModule ?? null,
  };
}

/** Every reason why a run was not a success, in words. */
export function faultsOf(model: OrganizationModel, balance: Balance): string[] {
  const faults: string[] = [];
  const { org, progress } = model;
  if (balance.lost > 0) faults.push(`${org}: ${balance.lost} points lost`);
  if (balance.surplus > 0) faults.push(`${org}: ${balance.surplus} points doubled or misplaced`);
  if (balance.expected === 0) faults.push(`${org}: no window of its traffic was closed`);
  if (model.traffic.failed > 0) {
    faults.push(`${org}: ${model.traffic.failed} messages were not acknowledged`);
  }
  for (const { outcome, detail } of progress?.outcomes ?? []) {
    if (outcome === 'failed') faults.push(`${org}: a generation failed: ${detail ?? 'no detail'}`);
  }
  if (!progress || (progress.activeVersion === null && progress.stage !== 'settled')) {
    faults.push(`${org}: neither promoted nor at the end of its budget`);
  }
  return faults;
}

function firstPromotionSeconds(progress: Progress | null): number | null {
  if (progress?.evolutionStartedMs == null || progress.firstPromotionMs === null) return null;
  return Math.round((progress.firstPromotionMs - progress.evolutionStartedMs) / 100) / 10;
}

function whyNot(progress: Progress | null): string {
  if (progress === null) return 'the API did not answer';
  const last = progress.outcomes.at(-1);
  const parts = [progress.settledReason, last?.outcome, last?.detail, progress.lastError];
  return parts.filter((part) => part != null && part !== '').join('; ') || progress.stage;
}
