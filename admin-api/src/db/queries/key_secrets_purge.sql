-- Removes secrets that have ended, so that a key that is rotated every night keeps few. ?2 now
DELETE FROM api_key_secrets WHERE key_id = ?1 AND ends_at <= ?2
