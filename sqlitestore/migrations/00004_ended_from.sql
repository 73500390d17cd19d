-- Which session of the same person took this one's place, or ended it: whoever
-- still holds it can be told from which device.

ALTER TABLE sessions ADD COLUMN ended_from BLOB;
