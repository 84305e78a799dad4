-- Only if the statement before it in the batch changed something.
UPDATE settings SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT), updated_at = ?1
WHERE key = 'prices-version' AND changes() > 0
