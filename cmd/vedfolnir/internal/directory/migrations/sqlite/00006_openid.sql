-- Who people are at an OpenID provider. A subject is the provider's own word for
-- somebody, and never given to anybody else.
CREATE TABLE directory_openid_links (
    issuer    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    person_id INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    linked_at INTEGER NOT NULL,           -- microseconds since 1970
    last_used INTEGER NOT NULL DEFAULT 0, -- microseconds since 1970; 0: never
    PRIMARY KEY (issuer, subject)
) STRICT;

CREATE INDEX directory_openid_links_of_person ON directory_openid_links (person_id);

-- Sessions that began there, for as long as they may last: a sign-out there ends them.
CREATE TABLE directory_openid_sessions (
    session    BLOB    PRIMARY KEY,
    person_id  INTEGER NOT NULL REFERENCES directory_people (id) ON DELETE CASCADE,
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    sid        TEXT    NOT NULL, -- the provider's session; empty: it was not told
    good_until INTEGER NOT NULL  -- microseconds since 1970
) STRICT;

CREATE INDEX directory_openid_sessions_of_subject ON directory_openid_sessions (issuer, subject);
CREATE INDEX directory_openid_sessions_of_sid ON directory_openid_sessions (issuer, sid);
CREATE INDEX directory_openid_sessions_of_person ON directory_openid_sessions (person_id);
CREATE INDEX directory_openid_sessions_good_until ON directory_openid_sessions (good_until);

-- Sign-outs there, for as long as a sign-in from before may still be under way.
CREATE TABLE directory_openid_logouts (
    thing      BLOB    PRIMARY KEY, -- as it is spent
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL, -- empty: it was not told
    sid        TEXT    NOT NULL, -- empty: of all sessions
    heard_at   INTEGER NOT NULL, -- microseconds since 1970
    good_until INTEGER NOT NULL  -- microseconds since 1970
) STRICT, WITHOUT ROWID;

CREATE INDEX directory_openid_logouts_good_until ON directory_openid_logouts (good_until);
