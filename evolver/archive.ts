/**
 * The archive: every generation, candidate, verdict, attempt and promotion, in one SQLite file a
 * evolver host.
 *
 * Writes are keyed by ids of the domain and idempotent: an activity that is retried writes the same
 * rows again. The same id with another meaning is a fault, not an overwrite.
 */
import Database from 'better-sqlite3';
import { ArchiveError } from './errors.ts';
import { parseCandidateId, parseGenerationId } from './ids.ts';
import * as read from './queries.ts';
import type {
  AttemptInput,
  CandidateInput,
  CandidateResult,
  CandidateRow,
  GenerationEnd,
  GenerationInput,
  GenerationRow,
  Page,
  PromotionInput,
  Totals,
  Verdict,
} from './rows.ts';
import { migrate } from './schema/migrate.ts';

export { ArchiveError } from './errors.ts';
export type * from './rows.ts';

const BUSY_TIMEOUT_MS = 60_000;

export class Archive {
  readonly #database: Database.Database;

  /**
   * Opens or makes the file and brings its schema up to date. `:memory:` is an archive for tests.
   */
  static open(file: string): Archive {
    const database = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = NORMAL');
      database.pragma('foreign_keys = ON');
      migrate(database);
    } catch (error) {
      database.close();
      throw error;
    }
    return new Archive(database);
  }

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }

  // ---- writes -------------------------------------------------------------------------------

  startGeneration(input: GenerationInput): void {
    const { org, number, rerun } = parseGenerationId(input.id);
    const row = {
      id: input.id,
      org,
      configuration: input.configuration,
      number,
      rerun,
      parent: input.parent,
      random_before: JSON.stringify(input.random),
      workflow_run: input.workflowRun ?? null,
      started_at_ms: input.startedAtMs,
    };
    this.#insert('generations', row, ['configuration', 'parent', 'random_before']);
  }

  endGeneration(id: string, end: GenerationEnd): void {
    const changed = this.#database
      .prepare(
        `UPDATE generations SET outcome = ?, detail = ?, promoted = ?,
           commit_id = coalesce(?, commit_id),
         random_after = coalesce(?, random_after), ended_at_ms = ? WHERE id = ?`,
      )
      .run(
        end.outcome,
        end.detail ?? null,
        end.promoted ?? null,
        end.commit ?? null,
        end.random ? JSON.stringify(end.random) : null,
        end.endedAtMs,
        id,
      ).changes;
    if (changed === 0) throw new ArchiveError('missing', `no generation ${id}`);
  }

  recordCandidate(input: CandidateInput): void {
    const { generation, slot } = parseCandidateId(input.id);
    const of = read.generation(this.#database, generation);
    if (of === null) throw new ArchiveError('missing', `no generation ${generation}`);
    const row = {
      id: input.id,
      generation,
      org: of.org,
      configuration: of.configuration,
      slot,
      island: input.island ?? 0,
      parent: input.parent,
      mutator: input.mutator,
      operator: input.operator,
      patch_kind: input.patchKind ?? 'full',
      summary: input.summary ?? '',
      model: input.model ?? null,
      prompt: input.prompt ?? null,
      source: input.source,
      syntax: input.syntax ?? null,
      cost_usd: input.cost?.usd ?? 0,
      tokens_in: input.cost?.tokensIn ?? 0,
      tokens_out: input.cost?.tokensOut ?? 0,
      seconds: input.cost?.seconds ?? 0,
      created_at_ms: input.createdAtMs,
    };
    this.#database.transaction(() => {
      this.#insert('candidates', row, ['source', 'parent', 'mutator', 'operator']);
      const add = this.#database.prepare('INSERT OR IGNORE INTO inspirations VALUES (?, ?, ?)');
      for (const { role, id } of input.inspirations ?? []) add.run(input.id, role, id);
    })();
  }

  recordResult(candidate: string, result: CandidateResult): void {
    const changed = this.#database
      .prepare(
        `UPDATE candidates SET syntax = coalesce(?, syntax), core = coalesce(?, core),
         module = coalesce(?, module), module_size = coalesce(?, module_size),
         build_ms = coalesce(?, build_ms), benchmark = coalesce(?, benchmark),
         ratio_to_baseline = coalesce(?, ratio_to_baseline), ratio = coalesce(?, ratio),
         ratio_low = coalesce(?, ratio_low), ratio_high = coalesce(?, ratio_high),
         us_per_message = coalesce(?, us_per_message),
         fuel_per_point = coalesce(?, fuel_per_point) WHERE id = ?`,
      )
      .run(
        ...[result.syntax, result.core, result.module, result.moduleSize, result.buildMs],
        ...[result.benchmark, result.ratioToBaseline, result.ratio].map((each) => each ?? null),
        ...[result.ci95?.[0], result.ci95?.[1], result.usPerMessage, result.fuelPerPoint],
        candidate,
      ).changes;
    if (changed === 0) throw new ArchiveError('missing', `no candidate ${candidate}`);
  }

  /** A gate answers once a candidate; answering again (a retried activity) replaces the answer. */
  recordVerdict(candidate: string, verdict: Verdict): void {
    if (read.candidate(this.#database, candidate) === null) {
      throw new ArchiveError('missing', `no candidate ${candidate}`);
    }
    this.#database
      .prepare('INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(
        candidate,
        verdict.gate,
        verdict.passed ? 1 : 0,
        verdict.verdict,
        verdict.text ?? null,
        verdict.evidence ?? null,
        verdict.atMs,
      );
  }

  recordAttempt(input: AttemptInput): void {
    const row = {
      id: input.id,
      generation: input.generation,
      org: parseGenerationId(input.generation).org,
      mutator: input.mutator,
      stage: input.stage,
      outcome: input.outcome,
      detail: input.detail ?? null,
      source: input.source ?? null,
      cost_usd: input.costUsd ?? 0,
      at_ms: input.atMs,
    };
    this.#insert('attempts', row, ['generation', 'stage', 'outcome']);
  }

  recordPromotion(input: PromotionInput): void {
    const row = {
      org: input.org,
      version: input.version,
      configuration: input.configuration,
      kind: input.kind,
      candidate: input.candidate,
      module: input.module,
      manifest: input.manifest ?? null,
      at_ms: input.atMs,
    };
    this.#insert('promotions', row, ['configuration', 'kind', 'module'], ['org', 'version']);
  }

  // ---- reads --------------------------------------------------------------------------------

  generation(id: string): GenerationRow | null {
    return read.generation(this.#database, id);
  }

  /** Newest first. `cursor` is the `next` of the page before. */
  generations(org: string, limit: number, cursor: string | null = null): Page<GenerationRow> {
    return read.generations(this.#database, org, limit, cursor);
  }

  /** Number of the organization's newest generation; 0 before the first. */
  newestGeneration(org: string): number {
    return read.newestGeneration(this.#database, org);
  }

  candidate(id: string): CandidateRow | null {
    return read.candidate(this.#database, id);
  }

  /** A generation's candidates with their verdicts, by slot. */
  candidates(generation: string): CandidateRow[] {
    return read.candidates(this.#database, generation);
  }

  /** What parents are sampled from: correct and timed, one row a source, best first. */
  ranked(org: string, configuration: string, limit = 40): CandidateRow[] {
    return read.ranked(this.#database, org, configuration, limit);
  }

  /**
   * Of the ranked, the best `top` but `except`, then up to `diverse` whose operators differ most.
   */
  inspirations(org: string, configuration: string, except: string, top = 2, diverse = 2) {
    return read.inspirations(
      read.ranked(this.#database, org, configuration, 40),
      except,
      top,
      diverse,
    );
  }

  /** Everything tried in a configuration, newest last, one row a source. */
  tried(org: string, configuration: string, limit = 256): CandidateRow[] {
    return read.tried(this.#database, org, configuration, limit);
  }

  rejectedByGate(org: string): Record<string, number> {
    return read.rejectedByGate(this.#database, org);
  }

  totals(org: string): Totals {
    return read.totals(this.#database, org);
  }

  /**
   * The newest promotion of an organization, or null; a tombstone means that the fleet serves it.
   */
  incumbent(org: string): PromotionInput | null {
    return read.incumbents(this.#database, org)[0] ?? null;
  }

  /** The newest promotion of each organization. */
  incumbents(): PromotionInput[] {
    return read.incumbents(this.#database, null);
  }

  promotions(org: string, limit = 100): PromotionInput[] {
    return read.promotions(this.#database, org, limit);
  }

  /** Inserts a row, or finds the same one: columns of `meaning` must agree with what is stored. */
  #insert(table: string, row: Record<string, unknown>, meaning: string[], key = ['id']): void {
    const columns = Object.keys(row);
    const marks = columns.map((column) => `@${column}`).join(', ');
    const insert = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks})`;
    const added = this.#database.prepare(`${insert} ON CONFLICT DO NOTHING`).run(row).changes;
    if (added === 1) return;
    const where = key.map((column) => `${column} = @${column}`).join(' AND ');
    const stored = this.#database.prepare(`SELECT * FROM ${table} WHERE ${where}`).get(row);
    for (const column of meaning) {
      const before = (stored as Record<string, unknown> | undefined)?.[column];
      if (before !== row[column]) {
        const name = key.map((each) => row[each]).join('/');
        const change = `${column} was ${before}, is ${row[column]}`;
        throw new ArchiveError('conflict', `${table} ${name} is written already: ${change}`);
      }
    }
  }
}
