-- ?2 now · ?3 the pause before a use is written again, in ms. Many calls at once write one row.
UPDATE api_keys SET last_used_at = ?2
WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?2 - ?3)
