-- What authenticators know a person by: random, so that it tells nothing.
ALTER TABLE directory_people ADD COLUMN handle bytea; -- NULL: there was no need of one yet
CREATE UNIQUE INDEX directory_people_handle ON directory_people (handle);

CREATE TABLE directory_passkeys (
    id              bytea   PRIMARY KEY, -- of the credential, as its authenticator made it
    person_id       bigint  NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    site            text    NOT NULL,    -- the host's name that it is bound to
    public_key      bytea   NOT NULL,    -- a COSE_Key
    name            text    NOT NULL,
    model           bytea   NOT NULL,    -- of the authenticator, its AAGUID; zeros: not told
    transports      text    NOT NULL,    -- how to reach it, with spaces between
    backup_eligible boolean NOT NULL,
    backed_up       boolean NOT NULL,
    sign_count      bigint  NOT NULL,
    created_at      bigint  NOT NULL,          -- microseconds since 1970
    last_used       bigint  NOT NULL DEFAULT 0 -- microseconds since 1970; 0: never
);

CREATE INDEX directory_passkeys_of_person ON directory_passkeys (person_id);

CREATE TABLE directory_recovery_codes (
    hash      bytea   PRIMARY KEY, -- SHA-256 of 120 random bits
    person_id bigint  NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    made_at   bigint  NOT NULL,          -- microseconds since 1970
    used_at   bigint  NOT NULL DEFAULT 0 -- microseconds since 1970; 0: it is good
);

CREATE INDEX directory_recovery_codes_of_person ON directory_recovery_codes (person_id);

-- What is good for one time, and has been used; it stays until it would be good no more.
CREATE TABLE directory_spent (
    thing      bytea   PRIMARY KEY,
    good_until bigint  NOT NULL -- microseconds since 1970
);

CREATE INDEX directory_spent_good_until ON directory_spent (good_until);
