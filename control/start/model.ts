/** What the main job knows of one organization; the live view and the result are made of it. */
import type { GainSplit } from '../../evolver/gain.ts';
import type { TrafficStats } from './traffic.ts';

/**
 * `evt.<org>.measured`: timings on held-back messages, told by the aggregator after a promotion.
 */
export interface Measured {
  version: number;
  module: string;
  us: { active: number; baseline: number; per_point: number };
  ratio_to_baseline: number;
  ratio_to_per_point: number;
  ci95: [number, number];
}

/** `evt.<org>.swapped`. */
export interface Swapped {
  version: number;
  module: string | null;
  kind: 'promote' | 'rollback' | 'tombstone';
  pause_us: number;
}

/** The part of the API's status that the main job reads. */
export interface Progress {
  stage: 'unconfigured' | 'capturing' | 'evolving' | 'settled';
  settledReason: string | null;
  lastError: string | null;
  captured: { training: number; held_back: number; evolving?: number } | null;
  generation: number;
  generationStage: string | null;
  activeVersion: number | null;
  activeModule: string | null;
  evolutionStartedMs: number | null;
  firstPromotionMs: number | null;
  outcomes: {
    outcome: string;
    detail: string | null;
    version: number | null;
    mutator: string | null;
  }[];
  /** The module's ratio to the baseline on training traffic, as a product. */
  gain: GainSplit | null;
  candidates: number;
  rejected: Readonly<Record<string, number>>;
}

/** An organization, or the fleet, which has no traffic of its own. */
export interface OrganizationModel {
  org: string;
  progress: Progress | null;
  traffic: TrafficStats;
  /** Messages a second over the last seconds. */
  rate: number;
  /** Guest time of a live message, microseconds (moving average). */
  liveUs: number | null;
  /** Version of the fleet's module, where that serves. */
  fleetVersion: number | null;
  /** `liveUs` right before the newest swap. */
  beforeSwapUs: number | null;
  measured: Measured | null;
  swaps: Swapped[];
  lost: number;
}

export function newModel(org: string): OrganizationModel {
  return {
    org,
    progress: null,
    traffic: { messages: 0, points: 0, failed: 0 },
    rate: 0,
    liveUs: null,
    fleetVersion: null,
    beforeSwapUs: null,
    measured: null,
    swaps: [],
    lost: 0,
  };
}

/** Whether `--once` has nothing more to wait for. */
export function isDone({ progress, measured }: OrganizationModel): boolean {
  if (progress === null) return false;
  if (progress.activeVersion === null) return progress.stage === 'settled';
  return measured?.version === progress.activeVersion;
}
