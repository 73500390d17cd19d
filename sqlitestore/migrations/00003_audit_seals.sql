-- Lines are linked and signed for after they were written: see the package audit.

ALTER TABLE session_audit ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE session_audit ADD COLUMN salt BLOB; -- NULL: the personal fields were erased
ALTER TABLE session_audit ADD COLUMN personal BLOB; -- their hash, then
UPDATE session_audit SET salt = randomblob(16);

CREATE TABLE session_audit_checkpoints (
	number    INTEGER PRIMARY KEY,
	at        INTEGER NOT NULL,
	oldest    INTEGER NOT NULL,
	first     INTEGER NOT NULL,
	before    BLOB NOT NULL,
	last      INTEGER NOT NULL,
	links     BLOB NOT NULL, -- 32 bytes for each line from first to last
	link      BLOB NOT NULL,
	key       TEXT NOT NULL,
	signature BLOB NOT NULL
) STRICT;

CREATE TABLE session_audit_lease (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	holder TEXT NOT NULL,
	until  INTEGER NOT NULL
) STRICT;
INSERT INTO session_audit_lease VALUES (1, '', 0);
