-- While the answer that carries a new token may still be on its way, no second new
-- one is made.

-- +goose Up
ALTER TABLE sessions ADD COLUMN rotated_at INTEGER;
