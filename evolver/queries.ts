/**
 * The archive's reads: functions of a database, so that the archive itself stays a list of what it
 * offers.
 */
import type { Database } from 'better-sqlite3';
import { ArchiveError } from './errors.ts';
import type {
  AttemptInput,
  CandidateRow,
  GenerationRow,
  InspirationRef,
  Page,
  PromotionInput,
  Totals,
  Verdict,
} from './rows.ts';
import type {
  StoredCandidate,
  StoredGeneration,
  StoredPromotion,
  StoredVerdict,
} from './stored.ts';

const PAGE_LIMIT = 200;

const GENERATION = `SELECT g.*, (SELECT count(*) FROM candidates c WHERE c.generation = g.id)
  AS candidate_count FROM generations g`;
/** Rows of candidates `c`, with the number of their children. */
export const CANDIDATE = `SELECT c.*, (SELECT count(*) FROM candidates k WHERE k.parent = c.id)
  AS children FROM candidates c`;

export function generation(database: Database, id: string): GenerationRow | null {
  const row = database.prepare(`${GENERATION} WHERE g.id = ?`).get(id);
  return row === undefined ? null : toGeneration(row as StoredGeneration);
}

export function generations(
  database: Database,
  org: string,
  limit: number,
  cursor: string | null,
): Page<GenerationRow> {
  const size = Math.min(Math.max(1, Math.floor(limit)), PAGE_LIMIT);
  const [number, rerun] = parseCursor(cursor);
  const rows = database
    .prepare(
      `${GENERATION} WHERE g.org = ? AND (g.number, g.rerun) < (?, ?)
       ORDER BY g.number DESC, g.rerun DESC LIMIT ?`,
    )
    .all(org, number, rerun, size + 1)
    .map((row) => toGeneration(row as StoredGeneration));
  const last = rows[size - 1];
  const more = rows.length > size && last !== undefined;
  return { rows: rows.slice(0, size), next: more ? `${last.number}.${last.rerun}` : null };
}

export function newestGeneration(database: Database, org: string): number {
  const newest = database.prepare('SELECT max(number) FROM generations WHERE org = ?').pluck();
  return Number(newest.get(org) ?? 0);
}

export function candidate(database: Database, id: string): CandidateRow | null {
  const row = database.prepare(`${CANDIDATE} WHERE c.id = ?`).get(id);
  return row === undefined ? null : toCandidate(database, row as StoredCandidate);
}

export function candidates(database: Database, of: string): CandidateRow[] {
  const rows = database.prepare(`${CANDIDATE} WHERE c.generation = ? ORDER BY c.slot`).all(of);
  return rows.map((row) => toCandidate(database, row as StoredCandidate));
}

const ATTEMPTS_MAX = 1_000;

export function attempts(database: Database, of: string): AttemptInput[] {
  return database
    .prepare(
      `SELECT id, generation, mutator, stage, outcome, detail, source, transcript, arm,
         cost_usd AS costUsd, tokens_in AS tokensIn, tokens_out AS tokensOut, at_ms AS atMs
       FROM attempts WHERE generation = ? ORDER BY rowid LIMIT ?`,
    )
    .all(of, ATTEMPTS_MAX) as AttemptInput[];
}

export function rejectedByGate(database: Database, org: string): Record<string, number> {
  const rows = database
    .prepare(
      `SELECT v.gate AS gate, count(*) AS count FROM verdicts v JOIN candidates c
       ON c.id = v.candidate WHERE c.org = ? AND NOT v.passed GROUP BY v.gate ORDER BY v.gate`,
    )
    .all(org) as { gate: string; count: number }[];
  return Object.fromEntries(rows.map((row) => [row.gate, row.count]));
}

export function totals(database: Database, org: string): Totals {
  const count = (sql: string) => Number(database.prepare(sql).pluck().get(org) ?? 0);
  return {
    generations: count('SELECT count(*) FROM generations WHERE org = ?'),
    candidates: count('SELECT count(*) FROM candidates WHERE org = ?'),
    attempts: count('SELECT count(*) FROM attempts WHERE org = ?'),
    promoted: count("SELECT count(*) FROM promotions WHERE org = ? AND kind = 'promote'"),
    costUsd:
      count('SELECT sum(cost_usd) FROM candidates WHERE org = ?') +
      count('SELECT sum(cost_usd) FROM attempts WHERE org = ?'),
    rejected: rejectedByGate(database, org),
  };
}

export function incumbents(database: Database, org: string | null): PromotionInput[] {
  const rows = database
    .prepare(
      `SELECT * FROM promotions p WHERE (@org IS NULL OR org = @org) AND version =
       (SELECT max(version) FROM promotions WHERE org = p.org) ORDER BY org`,
    )
    .all({ org });
  return rows.map((row) => toPromotion(row as StoredPromotion));
}

export function promotions(database: Database, org: string, limit: number): PromotionInput[] {
  const rows = database
    .prepare('SELECT * FROM promotions WHERE org = ? ORDER BY version DESC LIMIT ?')
    .all(org, Math.min(limit, PAGE_LIMIT));
  return rows.map((row) => toPromotion(row as StoredPromotion));
}

function parseCursor(cursor: string | null): [number, number] {
  if (cursor === null) return [Number.MAX_SAFE_INTEGER, 0];
  const match = /^(\d{1,9})\.(\d{1,6})$/.exec(cursor);
  if (match === null) throw new ArchiveError('missing', `not a cursor: ${JSON.stringify(cursor)}`);
  return [Number(match[1]), Number(match[2])];
}

function toGeneration(row: StoredGeneration): GenerationRow {
  return {
    id: row.id,
    org: row.org,
    configuration: row.configuration,
    number: row.number,
    rerun: row.rerun,
    parent: row.parent,
    random: JSON.parse(row.random_before),
    randomAfter: row.random_after === null ? null : JSON.parse(row.random_after),
    outcome: row.outcome,
    detail: row.detail,
    promoted: row.promoted,
    commit: row.commit_id,
    epoch: row.epoch,
    plan: row.plan,
    inputs: row.inputs,
    profile: row.profile,
    startedAtMs: row.started_at_ms,
    endedAtMs: row.ended_at_ms,
    candidates: row.candidate_count,
  };
}

export function toCandidate(database: Database, row: StoredCandidate): CandidateRow {
  const { ratio_low: low, ratio_high: high } = row;
  return {
    id: row.id,
    generation: row.generation,
    org: row.org,
    configuration: row.configuration,
    slot: row.slot,
    island: row.island,
    parent: row.parent,
    inspirations: inspirationsOf(database, row.id),
    mutator: row.mutator,
    operator: row.operator,
    patchKind: row.patch_kind,
    summary: row.summary,
    model: row.model,
    prompt: row.prompt,
    transcript: row.transcript,
    arm: row.arm,
    features: row.features === null ? null : JSON.parse(row.features),
    source: row.source,
    syntax: row.syntax,
    module: row.module,
    moduleSize: row.module_size,
    buildMs: row.build_ms,
    benchmark: row.benchmark,
    ratioToBaseline: row.ratio_to_baseline,
    ratio: row.ratio,
    ci95: low === null || high === null ? null : [low, high],
    usPerMessage: row.us_per_message,
    fuelPerPoint: row.fuel_per_point,
    cost: {
      usd: row.cost_usd,
      tokensIn: row.tokens_in,
      tokensOut: row.tokens_out,
      seconds: row.seconds,
    },
    createdAtMs: row.created_at_ms,
    children: row.children,
    verdicts: verdictsOf(database, row.id),
  };
}

function inspirationsOf(database: Database, of: string): InspirationRef[] {
  const sql = 'SELECT role, inspiration AS id FROM inspirations WHERE candidate = ? ORDER BY 1, 2';
  return database.prepare(sql).all(of) as InspirationRef[];
}

function verdictsOf(database: Database, of: string): Verdict[] {
  const rows = database
    .prepare('SELECT * FROM verdicts WHERE candidate = ? ORDER BY at_ms, gate')
    .all(of) as StoredVerdict[];
  return rows.map((row) => ({
    gate: row.gate,
    passed: row.passed === 1,
    verdict: row.verdict,
    text: row.text,
    evidence: row.evidence,
    atMs: row.at_ms,
  }));
}

function toPromotion(row: StoredPromotion): PromotionInput {
  return {
    org: row.org,
    version: row.version,
    configuration: row.configuration,
    kind: row.kind,
    candidate: row.candidate,
    module: row.module,
    manifest: row.manifest,
    atMs: row.at_ms,
  };
}
