-- Times are Unix microseconds. NULL is the zero value of what may be missing.

CREATE TABLE session_meta (
	one   INTEGER PRIMARY KEY CHECK (one = 1),
	epoch INTEGER NOT NULL
) STRICT;
INSERT INTO session_meta VALUES (1, 0);

-- Rows of people are never removed: a rev or an epoch that began anew would let
-- old news pass for new. (A guest's id is never given again, and its row goes.)
CREATE TABLE session_users (
	id            TEXT PRIMARY KEY,
	sign_in_epoch INTEGER NOT NULL DEFAULT 1,
	rev           INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
	id               BLOB PRIMARY KEY CHECK (length(id) = 16),
	user_id          TEXT NOT NULL REFERENCES session_users (id),
	platform_id      TEXT NOT NULL,
	version          INTEGER NOT NULL,
	created_at       INTEGER NOT NULL,
	renewed_at       INTEGER NOT NULL,
	authenticated_at INTEGER NOT NULL,
	last_activity    INTEGER NOT NULL,
	ended_at         INTEGER,
	end_reason       TEXT NOT NULL DEFAULT '',
	ended_by         TEXT NOT NULL DEFAULT '',
	user_agent       TEXT NOT NULL,
	ip_address       TEXT NOT NULL,
	language         TEXT NOT NULL,
	secret           BLOB NOT NULL, -- SHA-256: a copy of this file opens no session
	previous         BLOB,
	first_used       INTEGER,
	fingerprint      TEXT NOT NULL,
	switches_since   INTEGER,
	switches         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_live_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_created ON sessions (created_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_renewed ON sessions (renewed_at) WHERE ended_at IS NULL;
-- The other columns make it enough for counting.
CREATE INDEX sessions_live_activity ON sessions (last_activity, renewed_at, created_at, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_ended_of_user ON sessions (user_id, ended_at) WHERE ended_at IS NOT NULL;

-- Without AUTOINCREMENT, which costs a second table: the newest rows are never
-- removed, so that the next seq is always one more than the last, without holes.
CREATE TABLE session_feed (
	seq       INTEGER PRIMARY KEY,
	user_id   TEXT NOT NULL,
	rev       INTEGER NOT NULL,
	session   BLOB,
	version   INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	directory INTEGER NOT NULL
) STRICT;

-- The store itself removes only ended sessions. A live row that somebody deletes
-- by hand has to be heard of all the same, or nodes would go on remembering it.
CREATE TRIGGER sessions_deleted_alive AFTER DELETE ON sessions WHEN OLD.ended_at IS NULL BEGIN
	UPDATE session_users SET rev = rev + 1 WHERE id = OLD.user_id;
	INSERT INTO session_feed (user_id, rev, session, version, ended, directory)
	SELECT OLD.user_id, rev, OLD.id, OLD.version + 1, 1, 0 FROM session_users WHERE id = OLD.user_id;
END;
