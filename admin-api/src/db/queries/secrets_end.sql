-- An earlier end stays: a second rotation must not lengthen the first one's grace.
UPDATE token_secrets SET ends_at = ?2
WHERE token_id = ?1 AND (ends_at IS NULL OR ends_at > ?2)
