/** The shapes of requests and answers: handlers are checked against them and OpenAPI shows them. */
import { z } from 'zod';
import { limits, ruleSchema } from '../configuration/index.ts';

const digest = z.string().describe('SHA-256, lowercase hexadecimal');
const milliseconds = z.number().describe('Milliseconds since 1970');
const nullable = <T extends z.ZodType>(schema: T) => schema.nullable();

const spread = z
  .int()
  .min(1)
  .max(limits.spread)
  .describe('Over how many partitions the series of the organization are spread; 1 if left out');

export const configurationBody = z
  .strictObject({
    org: z.string().optional().describe('May be left out; must be the organization of the path'),
    rules: z.array(ruleSchema).min(1),
    spread: spread.optional(),
  })
  .describe('The rules of an organization, as JSON or YAML');

export const configurationReply = z.object({
  org: z.string(),
  digest,
  effective_from_ms: milliseconds,
  rules: z.int(),
  changed: z.boolean().describe('False when this configuration was in force already'),
  changes: z
    .array(
      z.object({
        rule: z.string(),
        change: z.enum(['added', 'changed', 'removed']),
        from_ms: nullable(milliseconds).describe('Start of the first window that it serves'),
        until_ms: nullable(milliseconds).describe(
          'Start of the first window that it serves no more as it was',
        ),
      }),
    )
    .describe('The rules that this changes, each with the window from which on it does'),
});

export const configurationView = z.object({
  org: z.string(),
  digest,
  effective_from_ms: milliseconds,
  spread,
  rules: z.array(
    z.object({
      id: z.string(),
      metric: z.string(),
      filter: z.string(),
      group_by: z.array(z.string()),
      aggregate: z.string(),
      window: z.string(),
    }),
  ),
});

export const organizationList = z.object({ organizations: z.array(z.string()) });

const budget = z.strictObject({
  generations: z.int().min(1).max(10_000),
  seconds: z.int().min(1).max(31_536_000),
  stagnation: z.int().min(1).max(10_000),
  target_ratio: z.number().min(1).max(1_000_000).nullable(),
  usd: z.number().min(0).max(1_000_000).nullable().optional(),
  tokens: z.int().min(0).max(1_000_000_000_000).nullable().optional(),
  evaluations: z.int().min(1).max(1_000_000).nullable().optional(),
});

/** What the organization's workflow answers; `workflows/messages.ts` explains every field. */
export const statusView = z.looseObject({
  org: z.string(),
  stage: z.enum(['unconfigured', 'capturing', 'evolving', 'settled']),
  paused: z.boolean(),
  paused_reason: nullable(z.string()),
  settled_reason: nullable(z.string()),
  configuration: nullable(z.looseObject({ digest, effective_from_ms: milliseconds })),
  captured: nullable(
    z.object({
      training: z.number(),
      held_back: z.number(),
      evolving: z.number().optional().describe('Of `fleet`: tenants that go first'),
    }),
  ),
  generation: z.int(),
  running: nullable(z.looseObject({ generation: z.int(), stage: z.string() })),
  active: nullable(z.looseObject({ version: z.int(), kind: z.string() })),
  budget,
  outcomes: z.array(z.looseObject({ generation: z.int(), outcome: z.string() })),
  candidates_total: z.int(),
  rejected_total: z.record(z.string(), z.number()),
  last_error: nullable(z.string()),
});

export const manifestView = z.looseObject({
  version: z.int(),
  kind: z.enum(['promote', 'rollback', 'tombstone']),
  configuration: digest,
  module: nullable(z.object({ sha256: digest, size: z.int() })),
  issued_at_ms: milliseconds,
  expires_at_ms: milliseconds,
});

export const organizationView = z.object({
  org: z.string(),
  configuration: nullable(
    z.object({ digest, effective_from_ms: milliseconds, rules: z.int() }),
  ).describe('The stored configuration'),
  status: nullable(statusView).describe('What the workflow answers; null: see status_problem'),
  status_problem: nullable(z.string()),
  active: nullable(manifestView).describe('The newest published manifest'),
  totals: nullable(
    z.object({
      generations: z.int(),
      candidates: z.int(),
      attempts: z.int(),
      promoted: z.int(),
      cost_usd: z.number(),
      rejected: z.record(z.string(), z.int()),
    }),
  ).describe('What the archive on this host counts'),
  gain: nullable(
    z.object({
      total: z.number(),
      specialisation: z.number(),
      builtin: z.number(),
      llm: z.number(),
    }),
  ).describe('Ratio of the module to the baseline on training traffic, as a product'),
  serves: nullable(z.array(z.string())).describe(
    'Of `fleet`: organizations without a module of their own; null of an organization',
  ),
});

export const generationView = z.object({
  id: z.string(),
  generation: z.int(),
  rerun: z.int(),
  configuration: digest,
  outcome: z.string().describe('`running` until it has ended'),
  detail: nullable(z.string()),
  parent: nullable(z.string()).describe('The candidate that this generation began from'),
  promoted: nullable(z.string()).describe('Id of the promoted candidate'),
  commit: nullable(z.string()),
  inputs: nullable(digest).describe('From these it is run again'),
  plan: nullable(digest),
  epoch: z.int().describe('How often the traffic had moved away from what was measured'),
  started_at_ms: milliseconds,
  ended_at_ms: nullable(milliseconds),
  candidates: z.int(),
});

export const generationPage = z.object({
  generations: z.array(generationView),
  next: nullable(z.string()).describe('Cursor of the next page'),
});

const verdictView = z.object({
  gate: z.string(),
  passed: z.boolean(),
  verdict: z.string(),
  text: nullable(z.string()),
  evidence: nullable(digest),
  at_ms: milliseconds,
});

export const candidateView = z.object({
  id: z.string(),
  slot: z.int(),
  parent: nullable(z.string()),
  mutator: z.string(),
  operator: z.string(),
  summary: z.string(),
  model: nullable(z.string()),
  arm: nullable(z.string()).describe('The arm of the bandit that it was proposed by'),
  patch_kind: z.string(),
  island: z.int(),
  inspirations: z.array(z.object({ role: z.string(), id: z.string() })),
  prompt: nullable(digest),
  transcript: nullable(digest),
  cost: z.object({
    usd: z.number(),
    tokens_in: z.int(),
    tokens_out: z.int(),
    seconds: z.number(),
  }),
  source: digest,
  module: nullable(digest),
  module_size: nullable(z.int()),
  build_ms: nullable(z.number()),
  benchmark: nullable(digest),
  ratio_to_baseline: nullable(z.number()),
  ratio: nullable(z.number()).describe('Over the incumbent, on training traffic'),
  ci95: nullable(z.tuple([z.number(), z.number()])),
  us_per_message: nullable(z.number()),
  fuel_per_point: nullable(z.number()),
  verdicts: z.array(verdictView),
});

export const attemptView = z.object({
  id: z.string(),
  mutator: z.string(),
  outcome: z.string(),
  detail: nullable(z.string()),
  source: nullable(digest),
  transcript: nullable(digest).describe('The conversation in which it was made'),
  cost: z.object({ usd: z.number(), tokens_in: z.int(), tokens_out: z.int() }),
});

export const generationDetail = z.object({
  generation: generationView,
  candidates: z.array(candidateView),
  attempts: z.array(attemptView).describe('What was proposed and did not become a candidate'),
});

export const evolveBody = z.strictObject({
  budget: budget.partial().optional().describe('Replaces parts of the budget from now on'),
});
export const evolveReply = z.object({ next_generation: z.int(), budget });

export const pauseBody = z.strictObject({
  reason: z.string().min(1).max(200).optional(),
  cancel_running: z.boolean().optional().describe('Cancel the generation under way'),
});
export const pauseReply = z.object({ paused: z.boolean() });

export const emptyBody = z.strictObject({});

export const rerunBody = z.strictObject({
  from: z
    .enum(['sample', 'mutate', 'build', 'benchmark'])
    .optional()
    .describe('The first stage that is carried out anew; absent: `build`, on the same sources'),
  answers: z
    .enum(['recorded', 'fresh'])
    .optional()
    .describe(
      'Whether models are asked anew; absent: `recorded`, as long as questions are the same',
    ),
});
export const rerunReply = z.object({
  workflow_id: z.string(),
  generation: z.int(),
  rerun: z.int(),
});

export const rollbackBody = z
  .strictObject({
    version: z
      .int()
      .min(1)
      .optional()
      .describe('A version promoted earlier; absent: the one before'),
    to_baseline: z.boolean().optional().describe('Back to what serves without a tenant module'),
    reason: z.string().min(1).max(200).optional(),
  })
  .refine(
    (body) => body.version === undefined || body.to_baseline !== true,
    'version and to_baseline exclude each other',
  );
export const rollbackReply = z.object({
  version: z.int(),
  kind: z.string(),
  module: nullable(digest),
});

/** Its bytes are checked by the handler, and its content by the gates. */
export const componentBody = z.custom<Uint8Array>();
export const submitQuery = z.strictObject({
  name: z
    .string()
    .regex(/^[\x20-\x7e]{1,80}$/, 'is not 1 to 80 printable ASCII characters')
    .default('component')
    .describe('For people: of the file, say'),
});
export const submitReply = z.object({
  generation: z.int().describe('That takes it through the gates'),
  workflow_id: z.string(),
  module: digest,
  size: z.int(),
});

export const budgetBody = budget
  .partial()
  .refine((body) => Object.keys(body).length > 0, 'must hold at least one part of a budget');
export const budgetReply = z.object({ budget });

const whole = (low: number, high: number) => z.coerce.number().int().min(low).max(high);

export const pageQuery = z.strictObject({
  limit: whole(1, 200).default(50),
  cursor: z
    .string()
    .regex(/^\d{1,9}\.\d{1,6}$/, 'is not a cursor of an earlier page')
    .optional(),
});
export const generationQuery = z.strictObject({
  rerun: whole(0, 1_000_000).default(0).describe('Which attempt; 0 is the first'),
});
export const diffQuery = generationQuery.extend({
  slot: whole(0, 10_000).optional().describe('Absent: the promoted candidate, or the fastest'),
  against: whole(1, 999_999_999).optional().describe('A generation; absent: the parent'),
  against_slot: whole(0, 10_000).optional(),
});
export const eventsQuery = z.strictObject({
  after: whole(0, Number.MAX_SAFE_INTEGER).optional().describe('Only events after this place'),
  since_s: whole(1, 604_800).default(3_600).describe('Without `after`: how far to look back'),
  limit: whole(1, 500).default(100),
});
export const observationsQuery = z.strictObject({ limit: whole(1, 500).default(100) });
export const noQuery = z.strictObject({});

export const observationsPage = z.object({
  observations: z.array(
    z.object({
      at_ms: milliseconds,
      configuration: digest,
      module: nullable(digest).describe('That served'),
      messages: z.int(),
      distance: nullable(z.number()).describe('From the traffic that it was measured on'),
      advantage: nullable(z.number()).describe('Its ratio to the baseline then'),
      verdict: z.enum(['steady', 'moved', 'shrunk']),
      reason: nullable(z.string()),
    }),
  ),
});

export const eventsPage = z.object({
  events: z.array(
    z.object({
      sequence: z.int(),
      kind: z.string(),
      at_ms: milliseconds,
      body: z.record(z.string(), z.unknown()),
    }),
  ),
  next: z.int().nullable().describe('`after` of the next request; null: there were none'),
});

export const health = z.object({
  status: z.enum(['ok', 'degraded']),
  checks: z.record(z.string(), z.string()),
});
