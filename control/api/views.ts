/** Rows and entries as the API shows them. */
import type { z } from 'zod';
import type {
  AttemptInput,
  CandidateRow,
  GenerationRow,
  ObservationInput,
  Totals,
} from '../../evolver/archive.ts';
import { decodeBlob, printFilter, printWindow, ruleChanges } from '../configuration/index.ts';
import type { ConfigurationPut, StoredConfiguration } from '../tables.ts';
import type { GenerationDetail } from './records.ts';
import type {
  attemptView,
  candidateView,
  configurationReply,
  configurationView,
  generationView,
} from './schemas.ts';

export function showConfiguration(stored: StoredConfiguration): z.output<typeof configurationView> {
  const rules = decodeBlob(stored.blob).map((rule) => ({
    id: rule.id,
    metric: rule.metric,
    filter: printFilter(rule.filter),
    group_by: rule.groupBy,
    aggregate: rule.aggregate,
    window: printWindow(rule.windowMs),
  }));
  const { org, digest, effectiveFromMs: effective_from_ms, spread } = stored;
  return { org, digest, effective_from_ms, spread, rules };
}

export function showChanges(put: ConfigurationPut): z.output<typeof configurationReply>['changes'] {
  const { stored, before } = put;
  const old = before === null ? [] : decodeBlob(before.blob);
  const changes = ruleChanges(old, decodeBlob(stored.blob), stored.effectiveFromMs);
  return changes.map(({ rule, change, fromMs: from_ms, untilMs: until_ms }) => ({
    ...{ rule, change, from_ms, until_ms },
  }));
}

export function showGeneration(row: GenerationRow): z.output<typeof generationView> {
  return {
    id: row.id,
    generation: row.number,
    rerun: row.rerun,
    configuration: row.configuration,
    outcome: row.outcome,
    detail: row.detail,
    parent: row.parent,
    promoted: row.promoted,
    commit: row.commit,
    inputs: row.inputs,
    plan: row.plan,
    epoch: row.epoch,
    started_at_ms: row.startedAtMs,
    ended_at_ms: row.endedAtMs,
    candidates: row.candidates,
  };
}

export function showCandidate(row: CandidateRow): z.output<typeof candidateView> {
  return {
    id: row.id,
    slot: row.slot,
    parent: row.parent,
    mutator: row.mutator,
    operator: row.operator,
    summary: row.summary,
    model: row.model,
    arm: row.arm,
    patch_kind: row.patchKind,
    island: row.island,
    inspirations: row.inspirations,
    prompt: row.prompt,
    transcript: row.transcript,
    cost: {
      usd: row.cost.usd,
      tokens_in: row.cost.tokensIn,
      tokens_out: row.cost.tokensOut,
      seconds: row.cost.seconds,
    },
    source: row.source,
    module: row.module,
    module_size: row.moduleSize,
    build_ms: row.buildMs,
    benchmark: row.benchmark,
    ratio_to_baseline: row.ratioToBaseline,
    ratio: row.ratio,
    ci95: row.ci95,
    us_per_message: row.usPerMessage,
    fuel_per_point: row.fuelPerPoint,
    verdicts: row.verdicts.map(({ atMs, text, evidence, ...verdict }) => ({
      ...verdict,
      text: text ?? null,
      evidence: evidence ?? null,
      at_ms: atMs,
    })),
  };
}

export function showAttempt(row: AttemptInput): z.output<typeof attemptView> {
  const { id, mutator, outcome, detail = null, source = null, transcript = null } = row;
  const { costUsd: usd = 0, tokensIn: tokens_in = 0, tokensOut: tokens_out = 0 } = row;
  const cost = { usd, tokens_in, tokens_out };
  return { id, mutator, outcome, detail, source, transcript, cost };
}

export function showTotals(totals: Totals) {
  const { costUsd: cost_usd, ...rest } = totals;
  return { ...rest, cost_usd };
}

/** Digests that a generation refers to: the only objects that its organization may read by it. */
export function referencedBy(detail: GenerationDetail): Set<string> {
  const { generation, candidates, attempts } = detail;
  const { plan, inputs, profile } = generation;
  const digests = candidates.flatMap((row) => [
    row.source,
    row.benchmark,
    row.prompt,
    row.transcript,
    ...row.verdicts.map((verdict) => verdict.evidence ?? null),
  ]);
  const tried = attempts.flatMap(({ source = null, transcript = null }) => [source, transcript]);
  const own = [plan, inputs, profile, ...digests, ...tried];
  return new Set(own.filter((digest) => digest !== null));
}

export function showObservation(row: ObservationInput) {
  const { configuration, module, messages, distance, advantage, verdict, reason } = row;
  return {
    ...{ at_ms: row.atMs, configuration, module, messages },
    ...{ distance, advantage, verdict, reason },
  };
}
