-- A bucket of attempts that has been used; one that is full again has no row.
CREATE TABLE directory_attempts (
    bucket  text   PRIMARY KEY, -- whoever makes it up sees to it that it tells nothing
    full_at bigint NOT NULL     -- microseconds since 1970
);

CREATE INDEX directory_attempts_full ON directory_attempts (full_at);
