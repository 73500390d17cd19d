-- What happened, one line for each change, written with it. Lines go from the old
-- end only, and the newest stays, so that seq never begins anew.

CREATE TABLE session_audit (
	seq         INTEGER PRIMARY KEY,
	at          INTEGER NOT NULL, -- when it was stored
	action      TEXT NOT NULL,
	user_id     TEXT NOT NULL,
	session     BLOB, -- NULL: none was made
	platform_id TEXT NOT NULL,
	reason      TEXT NOT NULL,
	by          TEXT NOT NULL,
	ip_address  TEXT NOT NULL,
	user_agent  TEXT NOT NULL
) STRICT;
