-- Times are Unix microseconds. NULL is the zero value of what may be missing. What
-- others choose, ids and what a client says of itself, may be any bytes: bytea is
-- compared byte for byte, and shown by convert_from(user_id, 'UTF8').

CREATE TABLE session_meta (
	one     integer PRIMARY KEY CHECK (one = 1),
	epoch   bigint NOT NULL,
	history text NOT NULL, -- whose history the rows are: see the package's epoch.go
	trimmed pg_snapshot NOT NULL -- what was removed from the feed is visible in it
);
INSERT INTO session_meta VALUES (1, 0, '', '1:1:');

-- Rows of people are never removed: a rev or an epoch that began anew would let
-- old news pass for new. (A guest's id is never given again, and its row goes.)
CREATE TABLE session_users (
	id            bytea PRIMARY KEY,
	sign_in_epoch bigint NOT NULL DEFAULT 1,
	rev           bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- Room is left in each page, so that a change which moves no index stays on it.
CREATE TABLE sessions (
	id               bytea PRIMARY KEY CHECK (length(id) = 16),
	user_id          bytea NOT NULL,
	platform_id      bytea NOT NULL,
	version          bigint NOT NULL,
	created_at       bigint NOT NULL,
	renewed_at       bigint NOT NULL,
	authenticated_at bigint NOT NULL,
	last_activity    bigint NOT NULL,
	ended_at         bigint,
	end_reason       text NOT NULL DEFAULT '',
	ended_by         bytea NOT NULL DEFAULT '',
	ended_from       bytea,
	user_agent       bytea NOT NULL,
	ip_address       bytea NOT NULL,
	language         bytea NOT NULL,
	secret           bytea NOT NULL, -- SHA-256: a copy of this database opens no session
	previous         bytea,
	first_used       bigint,
	fingerprint      bytea NOT NULL,
	switches_since   bigint,
	switches         bigint NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX sessions_live_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_created ON sessions (created_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_renewed ON sessions (renewed_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_activity ON sessions (last_activity) WHERE ended_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_ended_of_user ON sessions (user_id, ended_at) WHERE ended_at IS NOT NULL;

-- A place is taken while the row that changed is locked, so that places keep the
-- order of each session. They do not keep the order of commits: that is what xid
-- and the reader's snapshots are for.
CREATE TABLE session_feed (
	seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
	user_id   bytea NOT NULL,
	rev       bigint NOT NULL,
	session   bytea,
	version   bigint NOT NULL,
	ended     boolean NOT NULL,
	directory boolean NOT NULL
);
CREATE INDEX session_feed_xid ON session_feed (xid);

-- Each node that follows the feed, and when it last did.
CREATE TABLE session_nodes (
	node text PRIMARY KEY,
	seen timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The store itself removes only ended sessions. A live row that somebody deletes
-- by hand has to be heard of all the same, or nodes would go on remembering it.
CREATE FUNCTION session_deleted_alive() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	risen bigint;
BEGIN
	UPDATE session_users SET rev = rev + 1 WHERE id = OLD.user_id RETURNING rev INTO risen;
	INSERT INTO session_feed (user_id, rev, session, version, ended, directory)
	VALUES (OLD.user_id, coalesce(risen, 0), OLD.id, OLD.version + 1, true, false);
	RETURN NULL;
END $$;
CREATE TRIGGER sessions_deleted_alive AFTER DELETE ON sessions
	FOR EACH ROW WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION session_deleted_alive();
