-- What people are told about the safety of their account. A line that grows is
-- written anew: ids are in the order in which something was told last.
CREATE TABLE directory_notices (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    kind      TEXT    NOT NULL,
    first_at  INTEGER NOT NULL, -- microseconds since 1970
    last_at   INTEGER NOT NULL,
    times     INTEGER NOT NULL,
    device    TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    several   INTEGER NOT NULL CHECK (several IN (0, 1)), -- devices or addresses
    detail    TEXT    NOT NULL
) STRICT;

CREATE INDEX directory_notices_of_person ON directory_notices (person_id, id);
CREATE INDEX directory_notices_last ON directory_notices (last_at);

-- The newest notice that the person has seen.
ALTER TABLE directory_people ADD COLUMN notices_seen INTEGER NOT NULL DEFAULT 0;

-- What is on its way to the operator's webhook, in the order of what it tells.
CREATE TABLE directory_outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT    NOT NULL UNIQUE,
    person_id  INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    body       TEXT    NOT NULL,
    made_at    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0, -- begun, whatever became of them
    due_at     INTEGER NOT NULL,           -- while one is under way: when it counts as lost
    problem    TEXT    NOT NULL DEFAULT '' -- of the last one
) STRICT;

CREATE INDEX directory_outbox_of_person ON directory_outbox (person_id, id);
CREATE INDEX directory_outbox_due ON directory_outbox (due_at);
