/** In-memory services for tests of the API and of the command line. */

import type { OrganizationStatus } from '../../workflows/messages.ts';
import { DEFAULT_BUDGET } from '../../workflows/messages.ts';
import { compileConfiguration, effectiveFromMs, type RuleInput } from '../configuration/index.ts';
import { ContentStore } from '../store/index.ts';
import type { StoredConfiguration } from '../tables.ts';
import type { GatewayError, OrganizationGateway } from './gateway.ts';
import type { GenerationDetail, GenerationRecords } from './records.ts';
import type { ApiServices } from './route.ts';
import type { Principal, Role } from './tokens.ts';

export const rule: RuleInput = {
  id: 'checkout-cpu',
  metric: 'cpu.usage',
  filter: 'service:checkout AND NOT env:dev',
  group_by: ['host'],
  aggregate: 'sum',
  window: '30s',
};

export interface Call {
  name: string;
  org: string;
  request: unknown;
}

export interface Fakes {
  services: ApiServices;
  calls: Call[];
  /** When set, the gateway refuses with it. */
  refusal: GatewayError | null;
  configurations: Map<string, StoredConfiguration>;
}

/** Tokens are `<org>-<role>`, with `all` for every organization. */
function principalOf(token: string): Principal | null {
  const [, org = '', role = ''] =
    /^([a-z]+)-(producer|viewer|editor|operator|admin)$/.exec(token) ?? [];
  return role === '' ? null : { org: org === 'all' ? '*' : org, role: role as Role };
}

export function makeFakes(directory: string, records: GenerationRecords = noRecords): Fakes {
  const configurations = new Map<string, StoredConfiguration>();
  const fakes: Fakes = {
    calls: [],
    refusal: null,
    configurations,
    services: {
      gateway: {} as OrganizationGateway,
      configurations: {
        read: async (org) => configurations.get(org) ?? null,
        organizations: async () => [...configurations.keys()].sort(),
        put: async ({ org, digest, blob, spread }, nowMs) => {
          const before = configurations.get(org) ?? null;
          if (before?.digest === digest) return { stored: before, changed: false, before };
          const from = effectiveFromMs(nowMs);
          const stored = { org, digest, blob, spread, effectiveFromMs: from, revision: 1 };
          configurations.set(org, stored);
          return { stored, changed: true, before };
        },
      },
      active: { read: async () => null },
      records,
      store: new ContentStore(directory),
      events: async ({ org, after }) =>
        after === null ? [{ sequence: 7, kind: 'swapped', atMs: 1_000, body: { org } }] : [],
      tokens: { find: async (token) => principalOf(token) },
      wasi: 'empty',
      health: async () => ({ nats: 'ok', temporal: 'ok' }),
      now: () => 1_000_000,
    },
  };
  fakes.services.gateway = fakeGateway(fakes);
  return fakes;
}

export const noRecords: GenerationRecords = {
  list: () => ({ rows: [], next: null }),
  read: (): GenerationDetail | null => null,
  candidate: () => null,
  observations: () => [],
  totals: () => null,
  gain: () => null,
};

export function storedConfiguration(org: string): StoredConfiguration {
  const { blob, digest, spread } = compileConfiguration(org, [rule]);
  return { org, digest, blob, spread, effectiveFromMs: 30_000, revision: 1 };
}

function fakeGateway(fakes: Fakes): OrganizationGateway {
  const answer =
    <Reply>(name: string, reply: Reply) =>
    async (org: string, request: unknown): Promise<Reply> => {
      if (fakes.refusal !== null) throw fakes.refusal;
      fakes.calls.push({ name, org, request });
      return reply;
    };
  return {
    status: async (org) => {
      if (fakes.refusal !== null) throw fakes.refusal;
      return fakes.configurations.has(org) ? fakeStatus(org) : null;
    },
    configure: answer('configure', { digest: 'd', changed: true }),
    evolve: answer('evolve', { next_generation: 1, budget: DEFAULT_BUDGET }),
    pause: answer('pause', { paused: true }),
    resume: answer('resume', { paused: false }),
    rerunGeneration: answer('rerunGeneration', {
      workflow_id: 'acme/gen/1/r1',
      generation: 1,
      rerun: 1,
    }),
    rollback: answer('rollback', { version: 3, kind: 'rollback' as const, module: 'a'.repeat(64) }),
    submit: answer('submit', { generation: 3, workflow_id: 'acme/gen/3' }),
    setBudget: answer('setBudget', { budget: DEFAULT_BUDGET }),
  };
}

function fakeStatus(org: string): OrganizationStatus {
  return {
    org,
    stage: 'evolving',
    paused: false,
    paused_reason: null,
    settled_reason: null,
    configuration: null,
    captured: { training: 100, held_back: 90 },
    generation: 2,
    running: null,
    queued: [],
    active: null,
    budget: DEFAULT_BUDGET,
    budget_used: {
      ...{ generations: 1, seconds: 12, stagnation: 0 },
      ...{ usd: 0, tokens: 0, evaluations: 4 },
    },
    evolution_started_ms: 900_000,
    first_promotion_ms: null,
    outcomes: [],
    candidates_total: 4,
    rejected_total: { benchmark: 2 },
    last_error: null,
  };
}
