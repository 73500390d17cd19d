-- A bucket of attempts that has been used; one that is full again has no row.
CREATE TABLE directory_attempts (
    bucket  TEXT    PRIMARY KEY, -- whoever makes it up sees to it that it tells nothing
    full_at INTEGER NOT NULL     -- microseconds since 1970
) STRICT, WITHOUT ROWID;

CREATE INDEX directory_attempts_full ON directory_attempts (full_at);
