/**
 * What the search looks back on: reads of the archive in the order of the domain (generation,
 * re-run, slot), never of the clock, so that a resumed search sees what an uninterrupted one saw.
 */
import type { Database } from 'better-sqlite3';
import type { Ancestor } from './gain.ts';
import { CANDIDATE, toCandidate } from './queries.ts';
import type { CandidateRow, ObservationInput, TrialRow } from './rows.ts';
import type { Migrant } from './search/islands.ts';
import type { StoredCandidate, StoredObservation } from './stored.ts';

/** Which rows: of one configuration, measured in one epoch, from generations before `before`. */
export interface Scope {
  org: string;
  configuration: string;
  epoch: number;
  before: number;
}

/** More than any archive holds; islands and the archive's size choose among these. */
const POPULATION_MAX = 512;
const TRIALS_MAX = 1_024;

/**
 * Gates that a candidate may fail and still be a parent: it was correct, only not fast enough or
 * not wanted.
 */
const HARMLESS = "('benchmark', 'promotion', 'signature', 'replay')";
/** What a gate says of the machine, another candidate or the traffic: nobody is wrong by it. */
const UNDECIDED = "('fault', 'duplicate', 'insufficient')";

const SCOPE = `g.org = @org AND g.configuration = @configuration AND g.epoch = @epoch
  AND g.number < @before`;
/** Of several rows of one source the newest one is told. */
const NEWEST = `NOT EXISTS (SELECT 1 FROM candidates o JOIN generations h ON h.id = o.generation
  WHERE o.org = c.org AND o.configuration = c.configuration AND o.source = c.source
  AND h.epoch = g.epoch AND h.number < @before
  AND (o.ratio_to_baseline IS NOT NULL, h.number, h.rerun, o.slot)
    > (c.ratio_to_baseline IS NOT NULL, g.number, g.rerun, c.slot))`;

/** Parents: correct and timed, one row a source, its newest figure, best first. */
export function ranked(database: Database, scope: Scope, limit = POPULATION_MAX): CandidateRow[] {
  const rows = database
    .prepare(
      `${CANDIDATE} JOIN generations g ON g.id = c.generation
       WHERE ${SCOPE} AND c.ratio_to_baseline IS NOT NULL AND ${NEWEST}
       AND NOT EXISTS (SELECT 1 FROM verdicts v JOIN candidates w ON w.id = v.candidate
         WHERE w.org = c.org AND w.configuration = c.configuration AND w.source = c.source
         AND NOT v.passed AND v.gate NOT IN ${HARMLESS}
         AND v.verdict NOT IN ${UNDECIDED})
       ORDER BY c.ratio_to_baseline DESC, g.number, g.rerun, c.slot LIMIT @limit`,
    )
    .all({ ...scope, limit });
  return rows.map((row) => toCandidate(database, row as StoredCandidate));
}

/** Everything tried, newest last, one row a source. */
export function tried(database: Database, scope: Scope, limit: number): CandidateRow[] {
  const rows = database
    .prepare(
      `${CANDIDATE} JOIN generations g ON g.id = c.generation WHERE ${SCOPE} AND ${NEWEST}
       ORDER BY g.number DESC, g.rerun DESC, c.slot DESC LIMIT @limit`,
    )
    .all({ ...scope, limit });
  return rows.map((row) => toCandidate(database, row as StoredCandidate)).reverse();
}

/** Every use of an arm, with what came of it; wrong candidates count as not timed. */
export function trials(database: Database, scope: Scope): TrialRow[] {
  const rows = database
    .prepare(
      `SELECT c.arm AS arm, g.number AS generation, c.cost_usd AS usd,
         CASE WHEN EXISTS (SELECT 1 FROM verdicts v WHERE v.candidate = c.id AND NOT v.passed
             AND v.gate NOT IN ${HARMLESS} AND v.verdict <> 'insufficient')
           THEN NULL ELSE c.ratio_to_baseline END AS ratio,
         p.ratio_to_baseline AS parentRatio
       FROM candidates c JOIN generations g ON g.id = c.generation
       LEFT JOIN candidates p ON p.id = c.parent
       WHERE ${SCOPE} AND g.rerun = 0 AND c.arm IS NOT NULL
       UNION ALL
       SELECT a.arm, g.number, a.cost_usd, NULL, NULL
       FROM attempts a JOIN generations g ON g.id = a.generation
       WHERE ${SCOPE} AND g.rerun = 0 AND a.arm IS NOT NULL
       ORDER BY 2 DESC, 1 LIMIT @limit`,
    )
    .all({ ...scope, limit: TRIALS_MAX });
  return rows as TrialRow[];
}

export function migrants(database: Database, scope: Scope): Migrant[] {
  const rows = database
    .prepare(
      `SELECT m.candidate AS candidate, m.island AS island FROM migrants m
       JOIN generations g ON g.id = m.generation WHERE ${SCOPE} ORDER BY 1, 2`,
    )
    .all(scope);
  return rows as Migrant[];
}

const ANCESTORS_MAX = 1_000;

/** A candidate and its ancestors, youngest first. */
export function ancestors(database: Database, candidate: string): Ancestor[] {
  const rows = database
    .prepare(
      `WITH RECURSIVE line (id, depth) AS (SELECT @candidate, 0
         UNION ALL SELECT c.parent, depth + 1 FROM line JOIN candidates c ON c.id = line.id
         WHERE c.parent IS NOT NULL AND depth < @limit)
       SELECT c.mutator AS mutator, c.ratio_to_baseline AS ratio
       FROM line JOIN candidates c ON c.id = line.id ORDER BY depth`,
    )
    .all({ candidate, limit: ANCESTORS_MAX });
  return rows as Ancestor[];
}

/** The newest ratio of a configuration's first form to the baseline, of the newest epoch. */
export function specialisedRatio(
  database: Database,
  org: string,
  configuration: string,
): number | null {
  const ratio = database
    .prepare(
      `SELECT c.ratio_to_baseline FROM candidates c JOIN generations g ON g.id = c.generation
       WHERE c.org = ? AND c.configuration = ? AND c.mutator = 'specialise'
       AND c.ratio_to_baseline IS NOT NULL
       ORDER BY g.epoch DESC, g.number DESC, g.rerun DESC LIMIT 1`,
    )
    .pluck()
    .get(org, configuration);
  return (ratio as number | undefined) ?? null;
}

export function moduleTwin(database: Database, scope: Scope, module: string): string | null {
  const twin = database
    .prepare(
      `SELECT c.id FROM candidates c JOIN generations g ON g.id = c.generation WHERE ${SCOPE}
       AND c.module = @module AND c.ratio_to_baseline IS NOT NULL
       ORDER BY g.number DESC, g.rerun DESC, c.slot LIMIT 1`,
    )
    .pluck()
    .get({ ...scope, module });
  return (twin as string | undefined) ?? null;
}

/** The newest measurement of a module, in whatever epoch: what it is worth as far as is known. */
export function lastMeasured(
  database: Database,
  org: string,
  configuration: string,
  module: string,
): CandidateRow | null {
  const row = database
    .prepare(
      `${CANDIDATE} JOIN generations g ON g.id = c.generation
       WHERE c.org = ? AND c.configuration = ? AND c.module = ? AND c.ratio_to_baseline IS NOT NULL
       ORDER BY g.epoch DESC, g.number DESC, g.rerun DESC, c.slot LIMIT 1`,
    )
    .get(org, configuration, module);
  return row === undefined ? null : toCandidate(database, row as StoredCandidate);
}

/** How often the traffic moved away from what was measured, or the advantage shrank. */
export function epoch(database: Database, org: string, configuration: string): number {
  const count = database
    .prepare(
      `SELECT count(*) FROM observations WHERE org = ? AND configuration = ?
       AND verdict <> 'steady'`,
    )
    .pluck();
  return Number(count.get(org, configuration));
}

export function observations(
  database: Database,
  org: string,
  configuration: string | null,
  limit: number,
): ObservationInput[] {
  const rows = database
    .prepare(
      `SELECT * FROM observations WHERE org = @org
       AND (@configuration IS NULL OR configuration = @configuration)
       ORDER BY at_ms DESC, id DESC LIMIT @limit`,
    )
    .all({ org, configuration, limit }) as StoredObservation[];
  return rows.map(({ at_ms: atMs, ...row }) => ({ ...row, atMs }));
}
