-- Secrets that a rotation ended before ?1. Their entries in KV expired long ago.
DELETE FROM token_secrets WHERE hash IN (SELECT hash FROM token_secrets WHERE ends_at < ?1 LIMIT ?2)
