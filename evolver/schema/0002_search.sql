-- What a generation began with, by digest, and the epoch of its traffic: figures of one epoch were
-- measured on traffic of one kind.
ALTER TABLE generations ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN plan TEXT;
ALTER TABLE generations ADD COLUMN inputs TEXT;
ALTER TABLE generations ADD COLUMN profile TEXT;

-- The arm of the bandit, the conversation with a model, and the code's features as JSON.
ALTER TABLE candidates ADD COLUMN arm TEXT;
ALTER TABLE candidates ADD COLUMN transcript TEXT;
ALTER TABLE candidates ADD COLUMN features TEXT;
CREATE INDEX candidates_by_module ON candidates (org, configuration, module);

ALTER TABLE attempts ADD COLUMN arm TEXT;
ALTER TABLE attempts ADD COLUMN tokens_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN tokens_out INTEGER NOT NULL DEFAULT 0;

-- Members of an island that were born on another.
CREATE TABLE migrants (
  candidate   TEXT NOT NULL REFERENCES candidates (id),
  island      INTEGER NOT NULL,
  generation  TEXT NOT NULL,
  PRIMARY KEY (candidate, island)
) STRICT, WITHOUT ROWID;

-- Looks at an organization's traffic while its module serves. `moved` and `shrunk` begin an epoch.
CREATE TABLE observations (
  id             TEXT PRIMARY KEY,
  org            TEXT NOT NULL,
  configuration  TEXT NOT NULL,
  module         TEXT,
  profile        TEXT NOT NULL,
  messages       INTEGER NOT NULL,
  distance       REAL,
  advantage      REAL,
  verdict        TEXT NOT NULL,
  reason         TEXT,
  at_ms          INTEGER NOT NULL
) STRICT;
CREATE INDEX observations_by_org ON observations (org, configuration, at_ms);
