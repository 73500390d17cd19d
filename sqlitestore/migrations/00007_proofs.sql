-- How surely the person proved who they are, and what had been proved with the token
-- before the present one, which is as good as it was.

ALTER TABLE sessions ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN previous_authenticated_at INTEGER;
ALTER TABLE sessions ADD COLUMN previous_level INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET previous_authenticated_at = authenticated_at WHERE previous IS NOT NULL;
