-- Rows are keyed by ids of the domain: `<org>/gen/<n>[/r<k>]`, and `…/c<i>` for its candidates.
CREATE TABLE generations (
  id             TEXT PRIMARY KEY,
  org            TEXT NOT NULL,
  configuration  TEXT NOT NULL,
  number         INTEGER NOT NULL,
  rerun          INTEGER NOT NULL,
  parent         TEXT,
  random_before  TEXT NOT NULL,
  random_after   TEXT,
  outcome        TEXT NOT NULL DEFAULT 'running',
  detail         TEXT,
  promoted       TEXT,
  commit_id      TEXT,
  workflow_run   TEXT,
  started_at_ms  INTEGER NOT NULL,
  ended_at_ms    INTEGER
) STRICT;
CREATE INDEX generations_by_org ON generations (org, number DESC, rerun DESC);

CREATE TABLE candidates (
  id                 TEXT PRIMARY KEY,
  generation         TEXT NOT NULL REFERENCES generations (id),
  org                TEXT NOT NULL,
  configuration      TEXT NOT NULL,
  slot               INTEGER NOT NULL,
  island             INTEGER NOT NULL DEFAULT 0,
  parent             TEXT,
  mutator            TEXT NOT NULL,
  operator           TEXT NOT NULL,
  patch_kind         TEXT NOT NULL,
  summary            TEXT NOT NULL,
  model              TEXT,
  prompt             TEXT,
  source             TEXT NOT NULL,
  syntax             TEXT,
  core               TEXT,
  module             TEXT,
  module_size        INTEGER,
  build_ms           REAL,
  benchmark          TEXT,
  ratio_to_baseline  REAL,
  ratio              REAL,
  ratio_low          REAL,
  ratio_high         REAL,
  us_per_message     REAL,
  fuel_per_point     REAL,
  cost_usd           REAL NOT NULL DEFAULT 0,
  tokens_in          INTEGER NOT NULL DEFAULT 0,
  tokens_out         INTEGER NOT NULL DEFAULT 0,
  seconds            REAL NOT NULL DEFAULT 0,
  created_at_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX candidates_by_generation ON candidates (generation, slot);
CREATE INDEX candidates_by_rank ON candidates (org, configuration, ratio_to_baseline DESC);
CREATE INDEX candidates_by_source ON candidates (org, configuration, source);

CREATE TABLE inspirations (
  candidate    TEXT NOT NULL REFERENCES candidates (id),
  role         TEXT NOT NULL,
  inspiration  TEXT NOT NULL,
  PRIMARY KEY (candidate, role, inspiration)
) STRICT, WITHOUT ROWID;

-- One answer of one gate about one candidate.
CREATE TABLE verdicts (
  candidate  TEXT NOT NULL REFERENCES candidates (id),
  gate       TEXT NOT NULL,
  passed     INTEGER NOT NULL,
  verdict    TEXT NOT NULL,
  text       TEXT,
  evidence   TEXT,
  at_ms      INTEGER NOT NULL,
  PRIMARY KEY (candidate, gate)
) STRICT, WITHOUT ROWID;

-- What was tried and never became a candidate. Rows are added, never changed.
CREATE TABLE attempts (
  id          TEXT PRIMARY KEY,
  generation  TEXT NOT NULL REFERENCES generations (id),
  org         TEXT NOT NULL,
  mutator     TEXT NOT NULL,
  stage       TEXT NOT NULL,
  outcome     TEXT NOT NULL,
  detail      TEXT,
  source      TEXT,
  cost_usd    REAL NOT NULL DEFAULT 0,
  at_ms       INTEGER NOT NULL
) STRICT;
CREATE TRIGGER attempts_are_append_only_update BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempts_are_append_only_delete BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;

-- Every manifest that was published, the newest of an organization being in force.
CREATE TABLE promotions (
  org            TEXT NOT NULL,
  version        INTEGER NOT NULL,
  configuration  TEXT NOT NULL,
  kind           TEXT NOT NULL,
  candidate      TEXT,
  module         TEXT,
  manifest       TEXT,
  at_ms          INTEGER NOT NULL,
  PRIMARY KEY (org, version)
) STRICT, WITHOUT ROWID;
