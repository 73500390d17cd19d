-- A session's own limits, which only tighten what is configured, and what kind of
-- session it is. Cookies that were set before outlive the browser.

ALTER TABLE sessions
	ADD COLUMN idle_limit bigint, -- microseconds
	ADD COLUMN until bigint,
	ADD COLUMN persistent boolean NOT NULL DEFAULT true,
	ADD COLUMN guest boolean NOT NULL DEFAULT false,
	ADD COLUMN impersonator bytea NOT NULL DEFAULT '',
	ADD COLUMN impersonated_from bytea;

CREATE INDEX sessions_live_until ON sessions (until) WHERE ended_at IS NULL AND until IS NOT NULL;
CREATE INDEX sessions_live_own_idle ON sessions ((last_activity + idle_limit)) WHERE ended_at IS NULL AND idle_limit IS NOT NULL;
