/**
 * Activities that answer as told, over an active table in memory; they count how often each stage
 * ran.
 */
import { createHash } from 'node:crypto';
import type {
  Activities,
  BenchmarkVerdict,
  CandidateSource,
  ProvedCandidate,
} from '../../activities/types.ts';
import type { ActiveModule, Ref } from '../../workflows/messages.ts';

export function ref(name: string): Ref {
  const digest = createHash('sha256').update(name).digest('hex');
  return { digest, size: name.length, mediaType: 'text/plain' };
}

export function faster(id: string, ratio = 2): BenchmarkVerdict {
  return {
    id,
    verdict: 'faster',
    us_per_message: 10,
    fuel_per_point: 20,
    ratio,
    ci95: [ratio - 0.1, ratio + 0.1],
    ratio_to_baseline: ratio,
  };
}

export function attested(id: string): ProvedCandidate {
  const attestation = ref('attestation').digest;
  const date = '2026-07-18T12:00:00.000Z';
  const proof = { verdict: 'attested' as const, codec: ref('codec').digest, attestation, date };
  return { id, proof, evidence: attestation, seconds: null };
}

export function unattested(id: string): ProvedCandidate {
  const reason = 'attestation-missing';
  const proof = { verdict: 'refused' as const, codec: ref('codec').digest, reason, detail: 'none' };
  return { id, proof, evidence: null, seconds: null };
}

export function slow(id: string): BenchmarkVerdict {
  return { ...faster(id, 1.05), verdict: 'slow' } as BenchmarkVerdict;
}

export class Table {
  active: ActiveModule | null = null;
  revision = 0;
}

export interface Fakes {
  activities: Activities;
  table: Table;
  calls: Record<string, number>;
  inputs: Record<string, unknown[]>;
}

/** Everything passes and the last candidate is the fastest, unless an override says otherwise. */
export function fakes(overrides: Partial<Activities> = {}, table = new Table()): Fakes {
  const calls: Record<string, number> = {};
  const inputs: Record<string, unknown[]> = {};
  const all: Activities = { ...stages(), ...trust(table), ...overrides };
  const counted = Object.entries(all).map(([name, act]) => [
    name,
    (input: never) => {
      calls[name] = (calls[name] ?? 0) + 1;
      inputs[name] = [...(inputs[name] ?? []), input];
      return (act as (input: never) => Promise<unknown>)(input);
    },
  ]);
  return { activities: Object.fromEntries(counted) as Activities, table, calls, inputs };
}

type Trust = Pick<Activities, 'readActive' | 'sign' | 'publish' | 'confirm' | 'shadow'>;

function trust(table: Table): Trust {
  return {
    readActive: async () => ({
      active: table.active,
      revision: table.revision,
      next_version: (table.active?.version ?? 0) + 1,
    }),
    shadow: async () => ({ verdict: 'pass' }),
    sign: async (input) => {
      const { subject } = input;
      const module =
        subject.of === 'candidate'
          ? subject.module.digest
          : subject.of === 'earlier'
            ? moduleOf(subject.statement)
            : null;
      const active: ActiveModule = {
        version: input.version,
        kind: subject.kind,
        configuration: input.configuration,
        module,
        size: 1,
        issued_at_ms: input.issued_at_ms,
        expires_at_ms: input.expires_at_ms,
        statement: `statement:${input.version}:${module ?? ''}`,
      };
      return { verdict: 'signed', envelope: ref(`envelope ${input.version}`), active };
    },
    publish: async ({ active, revision }) => {
      if (revision !== table.revision) return { verdict: 'conflict', reason: 'revision' };
      table.active = active;
      table.revision += 1;
      return { verdict: 'published', revision: table.revision };
    },
    confirm: async () => ({ verdict: 'swapped' }),
  };
}

function moduleOf(statement: string): string {
  return statement.split(':')[2] ?? '';
}

function stages(): Omit<Activities, keyof Trust> {
  return {
    captureStatus: async () => ({ training: 512, held_back: 512 }),
    restore: async () => ({ generation: 0 }),
    sample: async () => ({
      verdict: 'sampled',
      corpus: { fit: ref('fit'), check: ref('check') },
      profile: ref('profile'),
      messages: 128,
    }),
    specialize: async () => ({ spec: ref('spec'), seed: ref('seed') }),
    plan: async ({ candidates }) => ({
      plan: ref('plan'),
      slots: Array.from({ length: candidates }, (_, index) => ({
        index,
        mutator: index === 0 ? ('specialise' as const) : ('builtin' as const),
        parent: null,
      })),
    }),
    mutate: async (input) => ({
      verdict: 'proposed',
      candidate: candidate(`${input.org}/gen/${input.generation}/c${input.index}`, input.index),
    }),
    admit: async ({ generation }) => ({ inputs: ref(`inputs ${generation}`) }),
    readmit: async (input) => ({
      schema: 1,
      configuration: input.configuration.digest,
      corpus: { fit: ref('fit'), check: ref('check') },
      profile: ref('profile'),
      messages: 128,
      specialization: { spec: ref('spec'), seed: ref('seed') },
      candidates: [0, 1].map((index) =>
        candidate(`${input.org}/gen/${input.generation}/r${input.rerun}/c${index}`, index),
      ),
    }),
    checkSource: async () => ({ verdict: 'pass' }),
    build: async (input) => ({
      verdict: 'built',
      component: ref(`module ${input.candidate}`),
      linked: ref(`linked ${input.candidate}`),
      seconds: 1.5,
    }),
    checkModule: async () => ({ verdict: 'pass' }),
    prove: async ({ candidates }) => ({ candidates: candidates.map(({ id }) => attested(id)) }),
    benchmark: async ({ candidates }) => ({
      evidence: ref('benchmark'),
      seconds: 12,
      candidates: candidates.map(({ id }, index) => faster(id, 2 + index)),
    }),
    record: async () => ({ commit: null }),
    commit: async () => ({ commit: 'c0ffee' }),
    conclude: async () => undefined,
    observe: async () => ({ verdict: 'steady', reason: null }),
    challenge: async () => ({ verdict: 'ahead', ratio: 1.3, ci95: [1.25, 1.35], fleet: 1 }),
    recordDemotion: async () => undefined,
    recordManifest: async () => undefined,
  };
}

function candidate(id: string, index: number): CandidateSource {
  return {
    id,
    index,
    source: ref(`source ${id}`),
    mutator: index === 0 ? 'specialise' : 'builtin',
    operator: `operator-${index}`,
    summary: 'a summary',
    parent: null,
  };
}

export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
