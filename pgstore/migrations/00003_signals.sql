-- What was noticed about a session, and when: see the package suspicion.

ALTER TABLE sessions ADD COLUMN signals text NOT NULL DEFAULT '';
