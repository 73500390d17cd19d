-- Ids are never used twice: a session that outlived its person must not open for
-- whoever comes next.
CREATE TABLE directory_people (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    username     TEXT    NOT NULL,
    username_key TEXT    NOT NULL UNIQUE, -- as it is compared
    email        TEXT    NOT NULL,
    email_key    TEXT    NOT NULL UNIQUE,
    password     TEXT    NOT NULL,        -- a PHC string
    role         TEXT    NOT NULL CHECK (role IN ('person', 'admin')),
    demo         INTEGER NOT NULL CHECK (demo IN (0, 1)),
    disabled     INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1))
) STRICT;

CREATE TABLE directory_platforms (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id     INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    platform_type TEXT    NOT NULL,
    instance_url  TEXT    NOT NULL,
    username      TEXT    NOT NULL,
    is_default    INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    active        INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    last_used     INTEGER NOT NULL DEFAULT 0 -- microseconds since 1970; 0: never
) STRICT;

CREATE INDEX directory_platforms_of_person ON directory_platforms (person_id);
CREATE UNIQUE INDEX directory_one_default_platform ON directory_platforms (person_id) WHERE is_default = 1;
