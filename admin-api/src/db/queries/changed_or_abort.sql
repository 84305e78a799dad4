-- If the statement before it in the batch changed nothing, this undoes the whole batch by writing NULL to
-- a column that is NOT NULL.
INSERT INTO settings (key, value, updated_at) SELECT 'never', NULL, 0 WHERE changes() = 0
