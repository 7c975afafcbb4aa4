/**
 * The journal of model calls, and the ledger of what they cost: one row a call, keyed by
 * conversation and turn. A call is booked with its worst cost before it is made; the answer
 * replaces that by what it really cost. A conversation that is taken up again after a crash finds
 * its answers here. Conversations that ended long ago are forgotten, but for what they cost.
 */
import Database from 'better-sqlite3';
import { BudgetSpent } from './faults.ts';
import { inDollars, type Usage } from './prices.ts';

const BUSY_TIMEOUT_MS = 60_000;
const VERSION = 2;

const SCHEMA = `
CREATE TABLE calls (
  conversation TEXT NOT NULL,
  turn TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  org TEXT NOT NULL,
  model TEXT NOT NULL,
  -- Digest of the question: an answer counts for that question only.
  question TEXT NOT NULL,
  -- reserved = under way, answered, free = refused before it cost anything
  state TEXT NOT NULL CHECK (state IN ('reserved', 'answered', 'free')),
  -- Micro-dollars: booked while reserved, charged when answered.
  micro INTEGER NOT NULL,
  -- Micro-dollars booked for tries whose answer never arrived whole.
  lost INTEGER NOT NULL DEFAULT 0,
  answer TEXT,
  input INTEGER NOT NULL DEFAULT 0,
  cache_write INTEGER NOT NULL DEFAULT 0,
  cache_read INTEGER NOT NULL DEFAULT 0,
  output INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, turn)
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_org ON calls (org);
-- What a program of a conversation was told by the host, and what its cells answered.
CREATE TABLE told (
  conversation TEXT NOT NULL,
  place TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (conversation, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE notes (
  org TEXT PRIMARY KEY,
  text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** By version; each leads to the next. */
const CHANGES: readonly string[] = [
  SCHEMA,
  `-- When it was booked last; calls of before are as young as this change.
ALTER TABLE calls ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
UPDATE calls SET at_ms = unixepoch() * 1000;
-- What conversations cost that are forgotten.
CREATE TABLE forgotten (
  org TEXT PRIMARY KEY,
  micro INTEGER NOT NULL,
  calls INTEGER NOT NULL
) STRICT, WITHOUT ROWID;`,
];

export interface CallKey {
  conversation: string;
  turn: string;
  /** Which proposal of the conversation it belongs to. */
  attempt: number;
  org: string;
  model: string;
  question: string;
}

export interface Limits {
  organization: number;
  proposal: number;
}

export interface Recorded {
  /** Digest of the answer's document. */
  answer: string;
  usage: Usage;
  micro: number;
}

export interface Charge {
  microUsd: number;
  tokensIn: number;
  tokensOut: number;
}

export interface CallRow extends CallKey {
  state: string;
  micro: number;
  lost: number;
  answer: string | null;
}

export class Journal {
  readonly #database: Database.Database;

  /** Opens or makes the file; `:memory:` is a journal for tests. */
  static open(file: string): Journal {
    const database = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      database.pragma('journal_mode = WAL');
      // A call that was paid must not be forgotten when the machine fails.
      database.pragma('synchronous = FULL');
      prepare(database);
    } catch (error) {
      database.close();
      throw error;
    }
    return new Journal(database);
  }

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }

  /** The answer to exactly this question, if it was given before. */
  answered({ conversation, turn, question }: CallKey): Recorded | null {
    const row = this.#answer(conversation, turn);
    if (row === undefined || row.question !== question || row.answer === null) return null;
    const usage = {
      input: row.input,
      cacheWrite: row.cache_write,
      cacheRead: row.cache_read,
      output: row.output,
    };
    return { answer: row.answer, usage, micro: row.micro };
  }

  /**
   * Takes over what another conversation was answered to the same question, its sub-calls and what
   * its programs were told in that turn: they were paid for there.
   */
  recall({ conversation, turn, question }: CallKey, from: string): void {
    const names = { conversation, turn, question, from };
    const run = (sql: string) => this.#database.prepare(sql).run(names);
    const take = this.#database.transaction(() => {
      run(`INSERT OR IGNORE INTO calls
             (conversation, turn, attempt, org, model, question, state, micro, answer)
           SELECT @conversation, turn, attempt, org, model, question, state, 0, answer FROM calls
           WHERE conversation = @from AND state = 'answered'
             AND (turn = @turn AND question = @question OR turn LIKE @turn || '.%')
             AND EXISTS (SELECT 1 FROM calls WHERE conversation = @from AND turn = @turn
               AND question = @question AND state = 'answered')`);
      if (this.#answer(conversation, turn)?.question !== question) return;
      run(`INSERT OR IGNORE INTO told SELECT @conversation, place, text FROM told
           WHERE conversation = @from
             AND (place LIKE 'cell/' || @turn || '.%' OR place LIKE 'host/' || @turn || '.%')`);
    });
    take.immediate();
  }

  /**
   * Books the worst cost of a call, or throws `BudgetSpent`. A booking that was left behind by a
   * crash stays booked as lost: nobody knows whether that call was paid.
   */
  reserve(key: CallKey, micro: number, limits: Limits): void {
    const book = this.#database.transaction(() => {
      const spent = {
        organization: this.spent(key.org),
        proposal: this.#sum('conversation = ?', key.conversation),
      };
      for (const scope of ['organization', 'proposal'] as const) {
        if (spent[scope] + micro <= limits[scope]) continue;
        throw new BudgetSpent(
          `the ${scope}'s budget of ${inDollars(limits[scope])} has ` +
            `${inDollars(Math.max(0, limits[scope] - spent[scope]))} left, ` +
            `the next call may cost ${inDollars(micro)}`,
        );
      }
      this.#database
        .prepare(
          `INSERT INTO calls
             (conversation, turn, attempt, org, model, question, state, micro, at_ms)
           VALUES (@conversation, @turn, @attempt, @org, @model, @question, 'reserved', @micro,
             unixepoch() * 1000)
           ON CONFLICT DO UPDATE SET lost = lost + calls.micro, micro = excluded.micro,
             attempt = excluded.attempt, model = excluded.model, question = excluded.question,
             state = 'reserved', answer = NULL, at_ms = excluded.at_ms`,
        )
        .run({ ...key, micro });
    });
    book.immediate();
  }

  settle(key: CallKey, answer: string, usage: Usage, micro: number): void {
    this.#database
      .prepare(
        `UPDATE calls SET state = 'answered', answer = ?, micro = ?, input = ?, cache_write = ?,
         cache_read = ?, output = ? WHERE conversation = ? AND turn = ?`,
      )
      .run(
        answer,
        micro,
        usage.input,
        usage.cacheWrite,
        usage.cacheRead,
        usage.output,
        key.conversation,
        key.turn,
      );
  }

  /** The call ended without an answer: for nothing, or after it may have cost what was booked. */
  release({ conversation, turn }: CallKey, paid: boolean): void {
    const lost = paid ? 'lost + micro' : 'lost';
    this.#database
      .prepare(
        `UPDATE calls SET lost = ${lost}, micro = 0, state = 'free'
         WHERE conversation = ? AND turn = ? AND state = 'reserved'`,
      )
      .run(conversation, turn);
  }

  /** What one proposal of a conversation cost, sub-calls and lost tries included. */
  charge(conversation: string, attempt: number): Charge {
    return this.#charge('conversation = ? AND attempt = ?', [conversation, attempt]);
  }

  /** What all conversations whose names begin so cost, calls under way at their worst. */
  charged(prefix: string): Charge {
    // No name has a character behind the tilde.
    return this.#charge('conversation >= ? AND conversation < ?', [prefix, `${prefix}~`]);
  }

  spent(org: string): number {
    const sql = 'SELECT micro FROM forgotten WHERE org = ?';
    const before = Number(this.#database.prepare(sql).pluck().get(org) ?? 0);
    return before + this.#sum('org = ?', org);
  }

  /**
   * Forgets conversations whose last call was booked before a time; a budget knows their cost for
   * ever. Answers how many calls went.
   */
  forget(beforeMs: number): number {
    const old = `conversation IN (SELECT conversation FROM calls GROUP BY conversation
      HAVING max(at_ms) < @beforeMs)`;
    const forget = this.#database.transaction(() => {
      this.#database
        .prepare(
          `INSERT INTO forgotten SELECT org, sum(micro + lost), count(*) FROM calls WHERE ${old}
           GROUP BY org ON CONFLICT DO UPDATE SET micro = forgotten.micro + excluded.micro,
             calls = forgotten.calls + excluded.calls`,
        )
        .run({ beforeMs });
      this.#database.prepare(`DELETE FROM told WHERE ${old}`).run({ beforeMs });
      return this.#database.prepare(`DELETE FROM calls WHERE ${old}`).run({ beforeMs }).changes;
    });
    return forget.immediate();
  }

  calls(conversation: string): CallRow[] {
    const sql = `SELECT conversation, turn, attempt, org, model, question, state, micro, lost,
      answer      FROM calls WHERE conversation = ? ORDER BY turn`;
    return this.#database.prepare(sql).all(conversation) as CallRow[];
  }

  /** What stands at a place of a conversation, or what `find` gives: that is then kept. */
  async once(conversation: string, place: string, find: () => Promise<string>): Promise<string> {
    const kept = this.told(conversation, place);
    if (kept !== null) return kept;
    const text = await find();
    this.#database
      .prepare('INSERT OR REPLACE INTO told VALUES (?, ?, ?)')
      .run(conversation, place, text);
    return text;
  }

  told(conversation: string, place: string): string | null {
    const sql = 'SELECT text FROM told WHERE conversation = ? AND place = ?';
    const text = this.#database.prepare(sql).pluck().get(conversation, place);
    return typeof text === 'string' ? text : null;
  }

  toldIn(conversation: string): { place: string; text: string }[] {
    const sql = 'SELECT place, text FROM told WHERE conversation = ? ORDER BY place';
    return this.#database.prepare(sql).all(conversation) as { place: string; text: string }[];
  }

  notes(org: string): string {
    const sql = 'SELECT text FROM notes WHERE org = ?';
    return String(this.#database.prepare(sql).pluck().get(org) ?? '');
  }

  setNotes(org: string, text: string): void {
    this.#database.prepare('INSERT OR REPLACE INTO notes VALUES (?, ?)').run(org, text);
  }

  #answer(conversation: string, turn: string): StoredCall | undefined {
    return this.#database
      .prepare("SELECT * FROM calls WHERE conversation = ? AND turn = ? AND state = 'answered'")
      .get(conversation, turn) as StoredCall | undefined;
  }

  #charge(where: string, values: (string | number)[]): Charge {
    const row = this.#database
      .prepare(
        `SELECT coalesce(sum(micro + lost), 0) AS micro, coalesce(sum(output), 0) AS output,
         coalesce(sum(input + cache_write + cache_read), 0) AS input FROM calls WHERE ${where}`,
      )
      .get(...values) as { micro: number; input: number; output: number };
    return { microUsd: row.micro, tokensIn: row.input, tokensOut: row.output };
  }

  #sum(where: string, value: string): number {
    const sql = `SELECT coalesce(sum(micro + lost), 0) FROM calls WHERE ${where}`;
    return Number(this.#database.prepare(sql).pluck().get(value));
  }
}

interface StoredCall {
  question: string;
  answer: string | null;
  micro: number;
  input: number;
  cache_write: number;
  cache_read: number;
  output: number;
}

function prepare(database: Database.Database): void {
  database
    .transaction(() => {
      const version = Number(database.pragma('user_version', { simple: true }));
      if (version > VERSION) {
        throw new Error(`the journal is of version ${version}, this program knows ${VERSION}`);
      }
      for (const change of CHANGES.slice(version)) database.exec(change);
      database.pragma(`user_version = ${VERSION}`);
    })
    .immediate();
}
