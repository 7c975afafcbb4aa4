/**
 * How models are used: which, at what price, for how much money, within which limits. Read from the
 * JSON in RATCHET_LLM; a key that is not known is an error.
 */
import { z } from 'zod';
import type { Price, Tariff } from './prices.ts';

export const EFFORTS = ['low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof EFFORTS)[number];

export interface Model extends Tariff {
  id: string;
  /** How often it is drawn, beside the others; 0 = only as `subModel`. */
  weight: number;
  /** Null = the model's default. */
  effort: Effort | null;
}

export interface ExplorationLimits {
  /** Calls of the model in one conversation. */
  turns: number;
  /** Calls that its programs may make. */
  subCalls: number;
  /** Seconds of one cell, and of all cells of a conversation. */
  cellSeconds: number;
  totalSeconds: number;
  /** Of the interpreter's heap. */
  memoryMib: number;
  /** What a cell may print. */
  outputChars: number;
}

export interface LlmSettings {
  baseUrl: string | null;
  models: Model[];
  /** Answers the sub-calls of an exploration. */
  subModel: Model;
  /** Tokens of one answer, thinking included. */
  outputTokens: number;
  /** In micro-dollars: of an organization for ever, and of one conversation. */
  budget: { organization: number; proposal: number };
  /**
   * How likely each manner is before anything is measured, shared by the models; the built-in
   * search has a weight of 10 in all.
   */
  arms: { single: number; rlm: number };
  exploration: ExplorationLimits;
  retry: RetryLimits;
}

export interface RetryLimits {
  /** Tries of one call, the first included. */
  tries: number;
  /** First pause; it doubles. */
  pauseMs: number;
  /** Longest pause, also when the server asks for a longer one. */
  pauseMsMax: number;
  /** Until the whole answer has arrived. */
  timeoutMs: number;
}

export class LlmSettingsError extends Error {
  override readonly name = 'LlmSettingsError';
}

/** Dollars for a million tokens; at most six decimals, so that micro-dollars are whole. */
const dollars = z
  .number()
  .min(0)
  .max(10_000)
  .refine((value) => Math.abs(value * 1e6 - Math.round(value * 1e6)) < 1e-3, {
    error: 'has more than six decimals',
  });
const price = z.strictObject({
  input: dollars,
  cache_write: dollars,
  cache_read: dollars,
  output: dollars,
});
const count = (max: number, min = 1) => z.int().min(min).max(max);
const weight = z.number().min(0).max(1_000_000);
const modelId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}$/, 'is not a model id');

const modelSchema = z.strictObject({
  id: modelId,
  weight: weight.default(1),
  effort: z.enum(EFFORTS).nullable().default(null),
  usd_per_mtok: price.optional(),
  long_prompt: z.strictObject({ above_tokens: count(10_000_000), usd_per_mtok: price }).optional(),
});

const settingsSchema = z.strictObject({
  base_url: z
    .url({ protocol: /^https?$/, error: 'is not an http(s) URL' })
    .nullable()
    .default(null),
  models: z.array(modelSchema).min(1).max(16).optional(),
  sub_model: modelId.optional(),
  output_tokens: count(128_000, 1_024).default(24_000),
  budget: z
    .strictObject({ organization_usd: dollars.default(10), proposal_usd: dollars.default(2) })
    .prefault({}),
  arms: z.strictObject({ single: weight.default(5), rlm: weight.default(5) }).prefault({}),
  exploration: z
    .strictObject({
      turns: count(100).default(20),
      sub_calls: count(500, 0).default(50),
      cell_seconds: count(300).default(30),
      total_seconds: count(3_600).default(240),
      memory_mib: count(1_024, 8).default(64),
      output_chars: count(100_000, 100).default(10_000),
    })
    .prefault({}),
  retry: z
    .strictObject({
      tries: count(10).default(5),
      pause_ms: count(60_000).default(1_000),
      pause_ms_max: count(600_000).default(60_000),
      timeout_ms: count(3_600_000, 100).default(420_000),
    })
    .prefault({}),
});

type Parsed = z.output<typeof settingsSchema>;
type ParsedModel = z.output<typeof modelSchema>;
type DollarPrice = z.output<typeof price>;

/** List prices in dollars for a million tokens, as published in November 2026. */
const LISTED: Record<string, Pick<ParsedModel, 'usd_per_mtok' | 'long_prompt'>> = {
  'claude-opus-5-5': { usd_per_mtok: listed(4, 5, 0.2, 20) },
  'claude-sonnet-5-5': { usd_per_mtok: listed(2, 2.5, 0.1, 10) },
  'claude-haiku-5-5': {
    usd_per_mtok: listed(0.1, 0.125, 0.01, 0.5),
    long_prompt: { above_tokens: 100_000, usd_per_mtok: listed(0.5, 0.625, 0.05, 2.5) },
  },
};

const DEFAULT_MODELS = [
  { id: 'claude-sonnet-5-5', weight: 2, effort: null },
  { id: 'claude-opus-5-5', weight: 1, effort: null },
];
const DEFAULT_SUB_MODEL = 'claude-haiku-5-5';

/** Null = all defaults. */
export function parseLlmSettings(text: string | null): LlmSettings {
  const parsed = settingsSchema.safeParse(text === null ? {} : parseJson(text));
  if (!parsed.success) throw new LlmSettingsError(describe(parsed.error));
  return toSettings(parsed.data);
}

function toSettings(given: Parsed): LlmSettings {
  const models = (given.models ?? DEFAULT_MODELS).map(toModel);
  const ids = models.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new LlmSettingsError(`models: ${twice} stands there twice`);
  if (!models.some((model) => model.weight > 0)) {
    throw new LlmSettingsError('models: none has a weight above 0');
  }
  const { arms, budget, exploration, retry } = given;
  if (arms.single + arms.rlm <= 0) {
    throw new LlmSettingsError('arms: one weight must be above 0');
  }
  return {
    baseUrl: given.base_url,
    models,
    subModel: subModelOf(given.sub_model, models),
    outputTokens: given.output_tokens,
    budget: { organization: micro(budget.organization_usd), proposal: micro(budget.proposal_usd) },
    arms,
    exploration: {
      turns: exploration.turns,
      subCalls: exploration.sub_calls,
      cellSeconds: exploration.cell_seconds,
      totalSeconds: exploration.total_seconds,
      memoryMib: exploration.memory_mib,
      outputChars: exploration.output_chars,
    },
    retry: {
      tries: retry.tries,
      pauseMs: retry.pause_ms,
      pauseMsMax: retry.pause_ms_max,
      timeoutMs: retry.timeout_ms,
    },
  };
}

function subModelOf(id: string | undefined, models: Model[]): Model {
  const known = models.find((model) => model.id === (id ?? DEFAULT_SUB_MODEL));
  if (known !== undefined) return known;
  if (id !== undefined && LISTED[id] === undefined) {
    throw new LlmSettingsError(`sub_model: ${id} is not among the models`);
  }
  return toModel({ id: id ?? DEFAULT_SUB_MODEL, weight: 0, effort: null });
}

function toModel(given: ParsedModel): Model {
  const { usd_per_mtok, long_prompt } = given.usd_per_mtok === undefined ? listing(given) : given;
  if (usd_per_mtok === undefined) {
    throw new LlmSettingsError(`models: ${given.id} needs usd_per_mtok: its price is not known`);
  }
  const { id, weight, effort } = given;
  const longPrompt =
    long_prompt === undefined
      ? null
      : { above: long_prompt.above_tokens, price: inMicro(long_prompt.usd_per_mtok) };
  return { id, weight, effort, price: inMicro(usd_per_mtok), longPrompt };
}

function listing({ id }: ParsedModel): Pick<ParsedModel, 'usd_per_mtok' | 'long_prompt'> {
  return LISTED[id] ?? {};
}

function listed(input: number, write: number, read: number, output: number): DollarPrice {
  return { input, cache_write: write, cache_read: read, output };
}

function inMicro({ input, cache_write, cache_read, output }: DollarPrice): Price {
  return {
    input: micro(input),
    cacheWrite: micro(cache_write),
    cacheRead: micro(cache_read),
    output: micro(output),
  };
}

function micro(usd: number): number {
  return Math.round(usd * 1e6);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LlmSettingsError(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

function describe(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`)
    .join('; ');
}
