/**
 * Checks of everything a caller hands to the workflows: synchronous, pure, naming the bad value.
 */
import type { SearchSettings } from '../evolver/search/settings.ts';
import { FLEET, isFleet } from './level.ts';
import {
  type Budget,
  type ConfigurationRef,
  type ConfigureRequest,
  type EvolutionSettings,
  type EvolveRequest,
  type OrganizationInput,
  type PauseRequest,
  type Ref,
  type RequestBase,
  type RollbackRequest,
  type SubmitRequest,
  WIRE_SCHEMA,
} from './messages.ts';

/** The request is malformed, whatever the state. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
}

function fail(field: string, value: unknown, expected: string): never {
  const shown = JSON.stringify(value) ?? String(value);
  throw new InvalidRequest(`${field}: ${shown.slice(0, 100)} is not ${expected}`);
}

function object(field: string, value: unknown): Record<string, unknown> {
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
  return plain ? (value as Record<string, unknown>) : fail(field, value, 'an object');
}

function known(field: string, value: Record<string, unknown>, keys: readonly string[]): void {
  const extra = Object.keys(value).find((key) => !keys.includes(key));
  if (extra !== undefined) fail(field, extra, `one of its fields (${keys.join(', ')})`);
}

function number(field: string, value: unknown, low: number, high: number, whole = true): void {
  const valid = typeof value === 'number' && value >= low && value <= high;
  if (!valid || (whole && !Number.isInteger(value))) {
    fail(field, value, `${whole ? 'a whole' : 'a'} number from ${low} to ${high}`);
  }
}

function text(field: string, value: unknown, length: number): void {
  const valid = typeof value === 'string' && value.length >= 1 && value.length <= length;
  if (!valid) fail(field, value, `a text of 1 to ${length} characters`);
}

function flag(field: string, value: unknown): void {
  if (typeof value !== 'boolean') fail(field, value, 'true or false');
}

function oneOf(field: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string)) fail(field, value, `one of ${words.join(', ')}`);
}

function digest(field: string, value: unknown): void {
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) {
    fail(field, value, 'a SHA-256 digest');
  }
}

const YEAR_SECONDS = 365 * 86_400;
/** Validators sign for no longer. */
const LIFE_MS_MAX = 30 * 86_400_000;
const TIME_MS_MAX = 253_402_300_799_999;

const budgetFields: Record<keyof Budget, (field: string, value: unknown) => void> = {
  generations: (field, value) => number(field, value, 1, 10_000),
  seconds: (field, value) => number(field, value, 1, YEAR_SECONDS),
  stagnation: (field, value) => number(field, value, 1, 10_000),
  target_ratio: (field, value) => {
    if (value !== null) number(field, value, 1, 1e6, false);
  },
  usd: (field, value) => optional(field, value, 0, 1e6, false),
  tokens: (field, value) => optional(field, value, 0, 1e12),
  evaluations: (field, value) => optional(field, value, 1, 1e6),
};

/** A limit that there need not be. */
function optional(field: string, value: unknown, low: number, high: number, whole = true): void {
  if (value !== null && value !== undefined) number(field, value, low, high, whole);
}

/** A whole budget, or the parts of one that replace those of `base`. */
export function mergeBudget(base: Budget, parts: unknown): Budget {
  const given = object('budget', parts);
  known('budget', given, Object.keys(budgetFields));
  for (const [key, value] of Object.entries(given)) {
    budgetFields[key as keyof Budget](`budget.${key}`, value);
  }
  return { ...base, ...given };
}

const settingsFields: Record<keyof EvolutionSettings, (field: string, value: unknown) => void> = {
  candidates: (field, value) => number(field, value, 1, 32),
  questions: (field, value) => number(field, value, 1, 3),
  promotion_ratio: (field, value) => number(field, value, 1, 100, false),
  training_min: (field, value) => number(field, value, 1, 512),
  held_back_min: (field, value) => number(field, value, 1, 512),
  capture_poll_ms: (field, value) => number(field, value, 10, 3_600_000),
  capture_poll_ms_max: (field, value) => number(field, value, 10, 3_600_000),
  benchmark_seconds: (field, value) => number(field, value, 1, 300),
  mutator: (field, value) => {
    oneOf(field, value, ['all', 'builtin', 'llm']);
  },
  search: (field, value) => {
    // Organizations that were started before the search could be set have none.
    if (value !== undefined) checkSearch(field, value);
  },
  observe_ms: (field, value) => optional(field, value, 10, YEAR_SECONDS * 1_000),
  drift_distance: (field, value) => optional(field, value, 0.01, 100, false),
  drift_advantage: (field, value) => optional(field, value, 0, 1, false),
  manifest_life_ms: (field, value) => number(field, value, 2_000, LIFE_MS_MAX),
  confirm_seconds: (field, value) => number(field, value, 1, 480),
  evolve_on_configure: flag,
  generations_per_run: (field, value) => number(field, value, 1, 1_000),
};

const searchFields: Record<keyof SearchSettings, (field: string, value: unknown) => void> = {
  sampling: (field, value) => {
    oneOf(field, value, ['power', 'weighted', 'softmax']);
  },
  alpha: (field, value) => number(field, value, 0, 10, false),
  lambda: (field, value) => number(field, value, 0, 1_000, false),
  hot: (field, value) => number(field, value, 0.01, 100, false),
  cold: (field, value) => number(field, value, 0.01, 100, false),
  cycle: (field, value) => number(field, value, 1, 1_000),
  islands: (field, value) => number(field, value, 1, 16),
  migrate_every: (field, value) => number(field, value, 1, 10_000),
  migrants: (field, value) => number(field, value, 0, 40),
  archive: (field, value) => number(field, value, 1, 400),
  inspirations_top: (field, value) => number(field, value, 0, 8),
  inspirations_diverse: (field, value) => number(field, value, 0, 8),
  exploration: (field, value) => number(field, value, 0, 100, false),
  epsilon: (field, value) => number(field, value, 0, 1, false),
  decay: (field, value) => number(field, value, 0.01, 1, false),
  cost_weight: (field, value) => number(field, value, 0, 100, false),
  novelty_tries: (field, value) => number(field, value, 1, 10),
  // Organizations that were started before it could be set have none.
  growth: (field, value) => optional(field, value, 0, 32, false),
  quick_ratio: (field, value) => number(field, value, 0, 1, false),
};

/** All of it: whoever changes a part starts from the defaults. */
export function checkSearch(field: string, value: unknown): void {
  const given = object(field, value);
  known(field, given, Object.keys(searchFields));
  for (const [key, check] of Object.entries(searchFields)) check(`${field}.${key}`, given[key]);
}

export function checkSettings(value: unknown): void {
  const given = object('settings', value);
  known('settings', given, Object.keys(settingsFields));
  for (const [key, check] of Object.entries(settingsFields)) check(`settings.${key}`, given[key]);
}

export const ORG = /^[a-z0-9-]{1,63}$/;

export function checkFleetInput(input: OrganizationInput): void {
  checkOrganizationInput(input);
  if (!isFleet(input.org)) fail('org', input.org, `the fleet's name (${FLEET})`);
}

export function checkOrganizationInput(input: OrganizationInput): void {
  const given = object('input', input);
  if (given.schema !== WIRE_SCHEMA) fail('schema', given.schema, `${WIRE_SCHEMA}`);
  if (typeof given.org !== 'string' || !ORG.test(given.org)) {
    fail('org', given.org, 'an organization name ([a-z0-9-], 1 to 63 characters)');
  }
  text('evolver_queue', given.evolver_queue, 200);
  checkSettings(given.settings);
  const budget = object('budget', given.budget);
  for (const [key, check] of Object.entries(budgetFields)) check(`budget.${key}`, budget[key]);
}

export function checkRef(field: string, value: unknown): asserts value is Ref {
  const given = object(field, value);
  digest(`${field}.digest`, given.digest);
  number(`${field}.size`, given.size, 0, 64 * 1024 * 1024);
  text(`${field}.mediaType`, given.mediaType, 100);
}

function checkBase(request: unknown, keys: readonly string[]): Record<string, unknown> {
  const given = object('request', request);
  known('request', given, ['request_id', ...keys]);
  if (given.request_id !== undefined) text('request_id', given.request_id, 200);
  return given;
}

export function checkConfigure(request: ConfigureRequest): void {
  const given = checkBase(request, ['configuration']);
  const configuration = object('configuration', given.configuration) as unknown as ConfigurationRef;
  digest('configuration.digest', configuration.digest);
  checkRef('configuration.blob', configuration.blob);
  if (configuration.blob.digest !== configuration.digest) {
    fail('configuration.blob.digest', configuration.blob.digest, 'the configuration digest');
  }
  number('configuration.rules', configuration.rules, 0, 10_000);
  number('configuration.effective_from_ms', configuration.effective_from_ms, 0, TIME_MS_MAX);
}

export function checkEvolve(request: EvolveRequest, base: Budget): Budget {
  const given = checkBase(request, ['budget']);
  return given.budget === undefined ? base : mergeBudget(base, given.budget);
}

export function checkPause(request: PauseRequest): void {
  const given = checkBase(request, ['reason', 'cancel_running']);
  if (given.reason !== undefined) text('reason', given.reason, 300);
  if (given.cancel_running !== undefined) flag('cancel_running', given.cancel_running);
}

export function checkResume(request: RequestBase): void {
  checkBase(request, []);
}

export function checkRerun(request: unknown): void {
  const given = checkBase(request, ['generation', 'from', 'answers']);
  number('generation', given.generation, 1, 999_999_999);
  const stages = ['sample', 'mutate', 'build', 'benchmark'];
  if (given.from !== undefined) oneOf('from', given.from, stages);
  if (given.answers !== undefined) oneOf('answers', given.answers, ['recorded', 'fresh']);
}

export function checkRollback(request: RollbackRequest): void {
  const given = checkBase(request, ['to_version', 'to_baseline', 'reason']);
  if (given.to_version !== undefined) number('to_version', given.to_version, 1, 2 ** 53 - 1);
  if (given.to_baseline !== undefined) flag('to_baseline', given.to_baseline);
  if (given.to_version !== undefined && given.to_baseline === true) {
    fail('to_baseline', true, 'possible together with to_version');
  }
  if (given.reason !== undefined) text('reason', given.reason, 300);
}

export function checkSubmit(request: SubmitRequest): void {
  const given = checkBase(request, ['component', 'name']);
  checkRef('component', given.component);
  text('name', given.name, 80);
}

export function checkBudget(request: unknown, base: Budget): Budget {
  return mergeBudget(base, checkBase(request, ['budget']).budget);
}
