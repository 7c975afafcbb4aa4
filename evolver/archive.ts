/**
 * The archive: every generation, candidate, verdict, attempt and promotion, in one SQLite file a
 * evolver host.
 *
 * Writes are keyed by ids of the domain and idempotent: an activity that is retried writes the same
 * rows again. The same id with another meaning is a fault, not an overwrite.
 */
import Database from 'better-sqlite3';
import { ArchiveError } from './errors.ts';
import { type GainSplit, splitGain } from './gain.ts';
import type { Scope } from './history.ts';
import * as history from './history.ts';
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
  ObservationInput,
  Page,
  PromotionInput,
  Totals,
  TrialRow,
  Verdict,
} from './rows.ts';
import { migrate } from './schema/migrate.ts';
import type { Migrant } from './search/islands.ts';

export { ArchiveError } from './errors.ts';
export type { Scope } from './history.ts';
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
      epoch: input.epoch ?? 0,
      random_before: JSON.stringify(input.random),
      random_after: input.randomAfter ? JSON.stringify(input.randomAfter) : null,
      plan: input.plan ?? null,
      profile: input.profile ?? null,
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
      transcript: input.transcript ?? null,
      arm: input.arm ?? null,
      features: input.features ? JSON.stringify(input.features) : null,
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
        `UPDATE candidates SET syntax = coalesce(?, syntax),
         features = coalesce(json_patch(coalesce(features, '{}'), ?), features),
         module = coalesce(?, module), module_size = coalesce(?, module_size),
         build_ms = coalesce(?, build_ms), benchmark = coalesce(?, benchmark),
         ratio_to_baseline = coalesce(?, ratio_to_baseline), ratio = coalesce(?, ratio),
         ratio_low = coalesce(?, ratio_low), ratio_high = coalesce(?, ratio_high),
         us_per_message = coalesce(?, us_per_message),
         fuel_per_point = coalesce(?, fuel_per_point) WHERE id = ?`,
      )
      .run(
        result.syntax ?? null,
        result.features ? JSON.stringify(result.features) : null,
        ...[result.module, result.moduleSize, result.buildMs],
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
      transcript: input.transcript ?? null,
      arm: input.arm ?? null,
      cost_usd: input.costUsd ?? 0,
      tokens_in: input.tokensIn ?? 0,
      tokens_out: input.tokensOut ?? 0,
      at_ms: input.atMs,
    };
    this.#insert('attempts', row, ['generation', 'stage', 'outcome']);
  }

  /** Copies: the candidates stay where they were born, too. */
  recordMigrants(generation: string, migrants: readonly Migrant[]): void {
    const add = this.#database.prepare('INSERT OR IGNORE INTO migrants VALUES (?, ?, ?)');
    for (const { candidate, island } of migrants) add.run(candidate, island, generation);
  }

  /** The stored inputs of a generation, from which it is run again. */
  recordInputs(generation: string, inputs: string): void {
    const changed = this.#database
      .prepare('UPDATE generations SET inputs = ? WHERE id = ?')
      .run(inputs, generation).changes;
    if (changed === 0) throw new ArchiveError('missing', `no generation ${generation}`);
  }

  recordCommit(generation: string, commit: string): void {
    const changed = this.#database
      .prepare('UPDATE generations SET commit_id = ? WHERE id = ?')
      .run(commit, generation).changes;
    if (changed === 0) throw new ArchiveError('missing', `no generation ${generation}`);
  }

  recordObservation({ atMs, ...input }: ObservationInput): void {
    this.#insert('observations', { ...input, at_ms: atMs }, ['configuration', 'profile']);
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
  ranked(scope: Scope, limit?: number): CandidateRow[] {
    return history.ranked(this.#database, scope, limit);
  }

  /** Everything tried in a configuration, newest last, one row a source. */
  tried(scope: Scope, limit = 256): CandidateRow[] {
    return history.tried(this.#database, scope, limit);
  }

  trials(scope: Scope): TrialRow[] {
    return history.trials(this.#database, scope);
  }

  migrants(scope: Scope): Migrant[] {
    return history.migrants(this.#database, scope);
  }

  /** A timed candidate of an earlier generation of this epoch with this module, or null. */
  moduleTwin(candidate: string, configuration: string, module: string): string | null {
    const { generation } = parseCandidateId(candidate);
    const { org, number } = parseGenerationId(generation);
    const epoch = this.epoch(org, configuration);
    const scope = { org, configuration, epoch, before: number };
    return history.moduleTwin(this.#database, scope, module);
  }

  /**
   * The ratio to the baseline of the newest timed candidate with this module in the present epoch.
   * A generation that is run again may be held against what came of a later one.
   */
  knownRatio(org: string, configuration: string, module: string): number | null {
    const epoch = this.epoch(org, configuration);
    const scope = { org, configuration, epoch, before: Number.MAX_SAFE_INTEGER };
    const newest = history.moduleTwin(this.#database, scope, module);
    return newest === null ? null : (this.candidate(newest)?.ratioToBaseline ?? null);
  }

  /** The newest measurement of a module in any epoch, or null. */
  lastMeasured(org: string, configuration: string, module: string): CandidateRow | null {
    return history.lastMeasured(this.#database, org, configuration, module);
  }

  /** The present epoch of a configuration's traffic, from 0. */
  epoch(org: string, configuration: string): number {
    return history.epoch(this.#database, org, configuration);
  }

  /** Newest first; of one configuration, or of all. */
  observations(org: string, configuration: string | null, limit = 100): ObservationInput[] {
    return history.observations(this.#database, org, configuration, limit);
  }

  /** What was proposed on the way and did not become a candidate, in its order. */
  attempts(generation: string): AttemptInput[] {
    return read.attempts(this.#database, generation);
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

  /** Where the speed of an organization's present module comes from; null = it has none. */
  gain(org: string): GainSplit | null {
    const serving = this.incumbent(org);
    if (serving?.module == null) return null;
    const { configuration, module } = serving;
    const named = this.promotions(org).find((row) => row.module === module && row.candidate);
    const candidate = serving.candidate ?? named?.candidate ?? null;
    if (candidate === null) return null;
    const line = history.ancestors(this.#database, candidate);
    return splitGain(line, history.specialisedRatio(this.#database, org, configuration));
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
