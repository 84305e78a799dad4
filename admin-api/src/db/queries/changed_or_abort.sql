-- Where the statement before it in the batch changed nothing, the whole batch is undone: a NULL meets
-- a column that may not be.
INSERT INTO settings (key, value, updated_at) SELECT 'never', NULL, 0 WHERE changes() = 0
