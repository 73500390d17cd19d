-- What was noticed about a session, and when: see the package suspicion.

-- +goose Up
ALTER TABLE sessions ADD COLUMN signals text NOT NULL DEFAULT '';
