-- Secrets that ended before ?1 by a rotation. KV has forgotten them long since.
DELETE FROM token_secrets WHERE hash IN (SELECT hash FROM token_secrets WHERE ends_at < ?1 LIMIT ?2)
