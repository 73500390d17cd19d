-- A session's own limits, which only tighten what is configured, and what kind of
-- session it is. Cookies that were set before outlive the browser. The index that is
-- counted by has to have all that counts.

ALTER TABLE sessions ADD COLUMN idle_limit INTEGER; -- microseconds
ALTER TABLE sessions ADD COLUMN until INTEGER;
ALTER TABLE sessions ADD COLUMN persistent INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN guest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN impersonator TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN impersonated_from BLOB;

CREATE INDEX sessions_live_until ON sessions (until) WHERE ended_at IS NULL AND until IS NOT NULL;
CREATE INDEX sessions_live_own_idle ON sessions (last_activity + idle_limit) WHERE ended_at IS NULL AND idle_limit IS NOT NULL;
DROP INDEX sessions_live_activity;
CREATE INDEX sessions_live_activity ON sessions (last_activity, renewed_at, created_at, ended_at, until, idle_limit) WHERE ended_at IS NULL;
