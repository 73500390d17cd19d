-- While the answer that carries a new token may still be on its way, no second new
-- one is made.

ALTER TABLE sessions ADD COLUMN rotated_at bigint;
