-- What authenticators know a person by: random, so that it tells nothing.
ALTER TABLE directory_people ADD COLUMN handle BLOB; -- NULL: there was no need of one yet
CREATE UNIQUE INDEX directory_people_handle ON directory_people (handle);

CREATE TABLE directory_passkeys (
    id              BLOB    PRIMARY KEY, -- of the credential, as its authenticator made it
    person_id       INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    site            TEXT    NOT NULL,    -- the host's name that it is bound to
    public_key      BLOB    NOT NULL,    -- a COSE_Key
    name            TEXT    NOT NULL,
    model           BLOB    NOT NULL,    -- of the authenticator, its AAGUID; zeros: not told
    transports      TEXT    NOT NULL,    -- how to reach it, with spaces between
    backup_eligible INTEGER NOT NULL CHECK (backup_eligible IN (0, 1)),
    backed_up       INTEGER NOT NULL CHECK (backed_up IN (0, 1)),
    sign_count      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,          -- microseconds since 1970
    last_used       INTEGER NOT NULL DEFAULT 0 -- microseconds since 1970; 0: never
) STRICT;

CREATE INDEX directory_passkeys_of_person ON directory_passkeys (person_id);

CREATE TABLE directory_recovery_codes (
    hash      BLOB    PRIMARY KEY, -- SHA-256 of 120 random bits
    person_id INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    made_at   INTEGER NOT NULL,          -- microseconds since 1970
    used_at   INTEGER NOT NULL DEFAULT 0 -- microseconds since 1970; 0: it is good
) STRICT;

CREATE INDEX directory_recovery_codes_of_person ON directory_recovery_codes (person_id);

-- What is good for one time, and has been used; it stays until it would be good no more.
CREATE TABLE directory_spent (
    thing      BLOB    PRIMARY KEY,
    good_until INTEGER NOT NULL -- microseconds since 1970
) STRICT, WITHOUT ROWID;

CREATE INDEX directory_spent_good_until ON directory_spent (good_until);
