-- When the server was started whose history the rows are, in Unix seconds: see the
-- package's epoch.go. NULL: an older version of the program has noted it.

ALTER TABLE session_meta ADD COLUMN started numeric;
