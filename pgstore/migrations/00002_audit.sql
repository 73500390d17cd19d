-- What happened, one line for each change, written with it. Changes of several
-- nodes are committed in any order: a line gets its seq, without holes, when
-- somebody first looks at it. Lines go from the old end only, and the newest stays,
-- so that seq never begins anew.

CREATE TABLE session_audit (
	place       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	seq         bigint,
	at          bigint NOT NULL, -- when it was stored
	action      text NOT NULL,
	user_id     bytea NOT NULL,
	session     bytea, -- NULL: none was made
	platform_id bytea NOT NULL,
	reason      text NOT NULL,
	by          bytea NOT NULL,
	ip_address  bytea NOT NULL,
	user_agent  bytea NOT NULL,
	request_id  text NOT NULL,
	salt        bytea, -- NULL: the personal fields were erased
	personal    bytea -- their hash, then
);
CREATE UNIQUE INDEX session_audit_seq ON session_audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX session_audit_new ON session_audit (place) WHERE seq IS NULL;

CREATE TABLE session_audit_checkpoints (
	number    bigint PRIMARY KEY,
	at        bigint NOT NULL,
	oldest    bigint NOT NULL,
	first     bigint NOT NULL,
	before    bytea NOT NULL,
	last      bigint NOT NULL,
	links     bytea NOT NULL, -- 32 bytes for each line from first to last
	link      bytea NOT NULL,
	key       text NOT NULL,
	signature bytea NOT NULL
);

CREATE TABLE session_audit_lease (
	one    integer PRIMARY KEY CHECK (one = 1),
	holder text NOT NULL,
	until  bigint NOT NULL
);
INSERT INTO session_audit_lease VALUES (1, '', 0);
