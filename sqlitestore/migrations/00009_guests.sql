-- Rows of users are removed with those of guests, whose ids are never given again.
-- SQLite then looks for sessions of theirs, which wants an index of all: one for the
-- two that were of some.

DROP INDEX sessions_live_of_user;
DROP INDEX sessions_ended_of_user;
CREATE INDEX sessions_of_user ON sessions (user_id, ended_at);
